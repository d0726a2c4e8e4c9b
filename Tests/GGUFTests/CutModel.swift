import Foundation
import GGUF
import Testing
import Vocabulary

/// A small header of any family, made by hand.
struct CutModel {
    var architecture: String
    var layers: Int
    /// Without the family's name in front.
    var metadata: [(String, MetadataValue)] = []
    /// With their whole keys.
    var general: [(String, MetadataValue)] = []
    var roles = ["attn_q.weight", "ffn_up.weight"]
    var shared: [(String, [UInt64])] = [
        ("token_embd.weight", [256, 16]), ("output.weight", [256, 16]), ("output_norm.weight", [256]),
    ]

    init(_ architecture: String, layers: Int = 12, _ metadata: [(String, MetadataValue)] = []) {
        self.architecture = architecture
        self.layers = layers
        self.metadata = metadata
    }

    func header() throws -> GGUFFile {
        let tokens = (0..<16).map { "t\($0)" }
        let base: [(String, MetadataValue)] = [
            ("block_count", .uint32(UInt32(layers))), ("embedding_length", .uint32(256)),
        ]
        let given = Set(metadata.map(\.0))
        let tokenizer: [(String, MetadataValue)] = [
            ("tokenizer.ggml.model", .text("gpt2")), ("tokenizer.ggml.tokens", .array(.texts(tokens))),
        ]
        let layout = try GGUFWriter(
            metadata: [MetadataEntry(key: "general.architecture", value: .text(architecture))]
                + (base.filter { !given.contains($0.0) } + metadata).map {
                    MetadataEntry(key: "\(architecture).\($0.0)", value: $0.1)
                } + (general + tokenizer).map { MetadataEntry(key: $0.0, value: $0.1) },
            tensors: shared.map { TensorPlan(name: $0.0, dimensions: $0.1, type: .f16) }
                + (0..<layers).flatMap { layer in
                    roles.map { TensorPlan(name: "blk.\(layer).\($0)", dimensions: [64], type: .f32) }
                }
        ).layout()
        let data = [UInt8](repeating: 0, count: Int(layout.fileByteCount) - layout.header.count)
        return try GGUFFile.parse(ByteArraySource(layout.header + data))
    }

    func cutter() throws -> ModelCutter { try ModelCutter(try header()) }

    func stage(_ first: Int, _ end: Int, heads: Bool = false) throws -> CutStage {
        try CutStage(try cutter(), first, end, heads: heads)
    }
}

/// A planned stage file, read again.
struct CutStage {
    let source: GGUFFile
    let file: GGUFFile
    let plan: StageFilePlan

    init(_ cutter: ModelCutter, _ first: Int, _ end: Int, heads: Bool = false) throws {
        source = cutter.file
        plan = try cutter.plan(LayerRange(first: first, end: end), heads: heads)
        file = try GGUFFile.parse(ByteArraySource(plan.header), expectingData: false)
    }

    var recipe: StageRecipe { plan.recipe }

    /// A metadata value without the family's name in front.
    subscript(_ key: String) -> MetadataValue? { file["\(file.architecture ?? "").\(key)"] }

    /// The shared tensors by name: copied or a hole, with their dimensions.
    var shared: [String: String] {
        var all: [String: String] = [:]
        for tensor in file.tensors where tensor.layerIndex == nil {
            all[tensor.name] = (origin(of: tensor) == nil ? "hole" : "copy") + " \(tensor.dimensions)"
        }
        return all
    }

    /// The source tensor whose bytes a tensor of the stage gets; nil for a hole.
    func origin(of tensor: TensorInfo) -> TensorInfo? {
        let start = file.fileOffset(of: tensor)
        guard
            let segment = plan.segments.first(where: {
                $0.destinationOffset <= start && start < $0.destinationOffset + $0.byteCount
            })
        else { return nil }
        let offset = segment.sourceOffset + (start - segment.destinationOffset)
        guard start + tensor.byteCount <= segment.destinationOffset + segment.byteCount else { return nil }
        return source.tensors.first { $0.byteCount == tensor.byteCount && source.fileOffset(of: $0) == offset }
    }
}

/// `u32` values as an array.
func list(_ numbers: [UInt32]) -> MetadataValue { .array(.uint32(numbers)) }

/// The seed of a random test: `SEED` from the environment, else a fixed one.
func seedFromEnvironment() -> UInt64 { ProcessInfo.processInfo.environment["SEED"].flatMap(UInt64.init) ?? 20_261_121 }
