import Foundation
import GGUF
import Vocabulary

/// A small encoder with random weights, as a file that is removed with the value.
final class EncoderFile {
    static let width = 64
    static let layers = 2
    static let window = 96
    static let vocabularySize = 200

    let path: String

    /// A BERT; `pooling` is llama.cpp's number of it, nil leaves it out.
    init(pooling: UInt32? = 1, seed: UInt64 = 3) throws {
        var random = SeededRandom(seed: seed)
        let layout = try Self.writer(pooling).layout()
        var data = Data(layout.header)
        for tensor in layout.file.tensors {
            let start = Int(layout.file.fileOffset(of: tensor))
            data.append(Data(repeating: 0, count: start - data.count))
            let isNorm = tensor.name.contains("norm") && tensor.name.hasSuffix("weight")
            for _ in 0..<Int(tensor.elementCount) {
                let draw = Float(random.below(2001)) / 1000 - 1
                let value = isNorm ? 1 + draw / 10 : draw / 4
                withUnsafeBytes(of: value.bitPattern.littleEndian) { data.append(contentsOf: $0) }
            }
        }
        let url = FileManager.default.temporaryDirectory.appending(path: "skein-encoder-\(UUID().uuidString).gguf")
        try data.write(to: url)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    private static func writer(_ pooling: UInt32?) -> GGUFWriter {
        let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + (5..<vocabularySize).map { "▁w\($0)" }
        var values: [(String, MetadataValue)] = [
            ("general.architecture", .text("bert")), ("general.name", .text("tiny encoder")),
            ("bert.context_length", .uint32(UInt32(window))), ("bert.embedding_length", .uint32(UInt32(width))),
            ("bert.block_count", .uint32(UInt32(layers))), ("bert.feed_forward_length", .uint32(128)),
            ("bert.attention.head_count", .uint32(4)), ("bert.attention.layer_norm_epsilon", .float(1e-12)),
            ("bert.attention.causal", .bool(false)), ("tokenizer.ggml.model", .text("bert")),
            ("tokenizer.ggml.token_type_count", .uint32(2)), ("tokenizer.ggml.tokens", .array(.texts(words))),
            ("tokenizer.ggml.padding_token_id", .uint32(0)), ("tokenizer.ggml.unknown_token_id", .uint32(1)),
            ("tokenizer.ggml.cls_token_id", .uint32(2)), ("tokenizer.ggml.bos_token_id", .uint32(2)),
            ("tokenizer.ggml.seperator_token_id", .uint32(3)), ("tokenizer.ggml.eos_token_id", .uint32(3)),
            ("tokenizer.ggml.mask_token_id", .uint32(4)),
        ]
        if let pooling { values.append(("bert.pooling_type", .uint32(pooling))) }
        return GGUFWriter(metadata: values.map { MetadataEntry(key: $0.0, value: $0.1) }, tensors: tensors)
    }

    private static var tensors: [TensorPlan] {
        let wide = UInt64(width)
        var plans: [TensorPlan] = []
        func add(_ name: String, _ dimensions: [UInt64]) {
            plans.append(TensorPlan(name: name, dimensions: dimensions, type: .f32))
        }
        add("token_embd.weight", [wide, UInt64(vocabularySize)])
        add("token_types.weight", [wide, 2])
        add("position_embd.weight", [wide, UInt64(window)])
        for part in ["weight", "bias"] { add("token_embd_norm.\(part)", [wide]) }
        for layer in 0..<layers {
            for (name, rows, columns) in [
                ("attn_q", wide, wide), ("attn_k", wide, wide), ("attn_v", wide, wide), ("attn_output", wide, wide),
                ("ffn_up", wide, 128), ("ffn_down", 128, wide),
            ] as [(String, UInt64, UInt64)] {
                add("blk.\(layer).\(name).weight", [rows, columns])
                add("blk.\(layer).\(name).bias", [columns])
            }
            for name in ["attn_output_norm", "layer_output_norm"] {
                for part in ["weight", "bias"] { add("blk.\(layer).\(name).\(part)", [wide]) }
            }
        }
        return plans
    }
}
