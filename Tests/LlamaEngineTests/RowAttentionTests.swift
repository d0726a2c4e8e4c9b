import CLlama
import CLlamaExtras
import Foundation
import GGUF
import ModelStore
import Serving
import Testing
import Vocabulary

@testable import LlamaEngine

extension `The engine` {
    @Suite struct `Attention over the cells that rows see` {
        private static func stage(
            _ types: [CacheFormat] = [.f16, .f16], threads: Int = 2, isOff: Bool = false
        ) throws -> EngineStage {
            let stage = try EngineStage(
                LlamaStageConfiguration(
                    path: BuiltinModel.path, layers: LayerRange(first: 0, end: 8), layerCount: 8,
                    recipe: try BuiltinModel.cutter().wholeRecipe,
                    context: ContextOptions(
                        cellCount: 2048, laneCount: 4, rowLimit: 128, threads: threads, keyType: types[0],
                        valueType: types[1])))
            if isOff { stage.leaveAttentionToLibrary() }
            return stage
        }

        private static func isTaken(_ stage: EngineStage) -> Bool {
            stage.engine.context.hooks?.attention.leftNothing ?? false
        }

        /// Not all lanes read the same.
        private static func text(_ count: Int, lane: Int = 0) throws -> [Token] {
            let tokens = try BuiltinModel.tokens("Once upon a time a goose led its flock over the sea, and then ")
            return (0..<count).map { tokens[($0 * (lane + 1) + lane) % tokens.count] }
        }

        /// Whether this processor computes it; elsewhere the library does, and there is nothing to compare.
        private static func isKnown() throws -> Bool {
            let stage = try stage()
            try stage.open(0, .plain(try text(8)))
            try stage.run(try text(8))
            return isTaken(stage)
        }

        /// Reads in chunks of 40, so that attention takes row by row, and then token by token.
        private static func script(_ stage: EngineStage) throws -> [[Float]] {
            let text = try text(330)
            try stage.open(0, .plain(text))
            return try stride(from: 0, to: 320, by: 40).map { try stage.run(Array(text[$0..<$0 + 40]), at: $0) }
                + (320..<330).map { try stage.run([text[$0]], at: $0) }
        }

        /// The largest difference, over the range of what is compared.
        private static func distance(_ logits: [[Float]], _ others: [[Float]]) throws -> Float {
            try zip(logits, others).map { logits, others in
                let range = try #require(logits.max()) - (try #require(logits.min()))
                return logits.distance(to: others) / range
            }.max() ?? .infinity
        }

        /// Kernels differ in the last bits, and eight-bit activations make more of that.
        @Test(arguments: [[CacheFormat.f16, .f16], [.q8_0, .q8_0], [.f32, .f32], [.f16, .q8_0]])
        func `answers like the library's`(types: [CacheFormat]) throws {
            guard try Self.isKnown() else { return }
            let library = try Self.script(try Self.stage(types, isOff: true))
            let stage = try Self.stage(types)
            let distance = try Self.distance(try Self.script(stage), library)
            #expect(Self.isTaken(stage))
            #expect(distance > 0 && distance < 0.05)
        }

        @Test(arguments: [[CacheFormat.f16, .f16], [.q8_0, .q8_0]], [1, 2])
        func `gives a row the bits it has alone`(types: [CacheFormat], threads: Int) throws {
            let counts = [320, 75, 190]
            func read(_ stage: EngineStage, _ lane: Int) throws {
                let text = try Self.text(400, lane: lane)
                try stage.open(UInt16(lane), .plain(text))
                for start in stride(from: 0, to: counts[lane], by: 40) {
                    let end = min(counts[lane], start + 40)
                    try stage.run(Array(text[start..<end]), lane: UInt16(lane), at: start)
                }
            }
            var alone: [[[Float]]] = []
            for lane in counts.indices {
                let stage = try Self.stage(types, threads: 1)
                try read(stage, lane)
                let text = try Self.text(400, lane: lane)
                alone.append(
                    try (counts[lane]..<counts[lane] + 5).map {
                        try stage.run([text[$0]], lane: UInt16(lane), at: $0)
                    })
            }
            let stage = try Self.stage(types, threads: threads)
            for lane in counts.indices { try read(stage, lane) }
            for step in 0..<5 {
                try stage.execute(
                    try counts.indices.map { lane in
                        StageRow(
                            lane: Lane(UInt16(lane)), position: Int32(counts[lane] + step),
                            token: try Self.text(400, lane: lane)[counts[lane] + step], samples: true)
                    })
                for lane in counts.indices {
                    #expect(stage.logits(ofRow: lane).isIdentical(to: alone[lane][step]), "lane \(lane), step \(step)")
                }
            }
        }

        @Test(arguments: SynthesisArchitecture.allCases)
        func `computes in every family what the library does`(architecture: SynthesisArchitecture) throws {
            var shape = ModelShape(architecture)
            // Of 16 otherwise, which is less than is computed at a time.
            if ![.deepseek2, .qwen2, .phi3, .jamba, .mamba].contains(architecture) { shape.headSize = 64 }
            let folder = FileManager.default.temporaryDirectory.appending(path: "skein-rows-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let path = folder.appending(path: "model.gguf").path
            try ModelSynthesis.write(shape, seed: 7, to: path)
            func logits(isOff: Bool) throws -> [[Float]] {
                let stage = try EngineStage(
                    LlamaStageConfiguration(
                        path: path, layers: LayerRange(first: 0, end: shape.layerCount),
                        layerCount: shape.layerCount, recipe: .whole(width: shape.width),
                        context: ContextOptions(cellCount: 256, laneCount: 1, rowLimit: 64, flashAttention: true)))
                if isOff { stage.leaveAttentionToLibrary() }
                let prompt = (0..<50).map { Token($0 * 7 % 500) }
                try stage.open(0, .plain(prompt))
                return [try stage.run(prompt), try stage.run([3], at: prompt.count)]
            }
            let distance = try Self.distance(try logits(isOff: true), try logits(isOff: false))
            // Where experts are chosen, a last bit may choose another one.
            #expect(distance < (architecture == .qwen3moe ? 0.05 : 0.02))
        }

        /// A node of attention. **Shape:** four heads of queries, two of keys, 256 cells.
        @safe private final class Node {
            static let cellCount = 256
            let context: OpaquePointer
            let node: UnsafeMutablePointer<ggml_tensor>
            let rowCount: Int
            let width: Int

            init(
                rows: Int = 3, width: Int = 64, keys keyType: ggml_type = GGML_TYPE_F16,
                values valueType: ggml_type? = nil, bias: Float = 0, cap: Float = 0, hasSinks: Bool = false
            ) {
                (rowCount, self.width) = (rows, width)
                let parameters = unsafe ggml_init_params(mem_size: 16 << 20, mem_buffer: nil, no_alloc: false)
                unsafe context = ggml_init(parameters)
                let (rows, width, cells) = (Int64(rows), Int64(width), Int64(Self.cellCount))
                let queries = unsafe ggml_new_tensor_3d(context, GGML_TYPE_F32, width, rows, 4)
                let keys = unsafe ggml_new_tensor_3d(context, keyType, width, cells, 2)
                let values = unsafe ggml_new_tensor_3d(context, valueType ?? keyType, width, cells, 2)
                let mask = unsafe ggml_new_tensor_2d(context, GGML_TYPE_F16, cells, rows)
                unsafe node = ggml_flash_attn_ext(context, queries, keys, values, mask, 0.5, bias, cap)
                guard hasSinks else { return }
                unsafe ggml_flash_attn_ext_add_sinks(node, ggml_new_tensor_1d(context, GGML_TYPE_F32, 4))
            }

            deinit { unsafe ggml_free(context) }

            var fits: Bool { unsafe extras_attention_fits(node) }

            func source(_ index: Int) throws -> UnsafeMutablePointer<ggml_tensor> {
                let sources = unsafe [
                    node.pointee.src.0, node.pointee.src.1, node.pointee.src.2, node.pointee.src.3, node.pointee.src.4,
                ]
                return unsafe try #require(sources[index])
            }

            /// Fills what it reads, always the same with a seed; answers queries, keys, values and sinks.
            func fill(seed: UInt64) throws -> [[Float]] {
                var random = SeededRandom(seed: seed)
                return try [0, 1, 2, 4].filter { unsafe $0 < 4 || node.pointee.src.4 != nil }.map {
                    unsafe RandomTensor.fill(try source($0), &random)
                }
            }

            /// What comes out when these rows, and no others, see these cells. **Shape:** `[rows, heads, width]`.
            func run(seen: [Int: [Int]], threads: Int32 = 2) throws -> [Float] {
                let mask = unsafe try source(3).pointee.data.assumingMemoryBound(to: UInt16.self)
                for row in 0..<rowCount {
                    let cells = Set(seen[row] ?? [])
                    for cell in 0..<Self.cellCount {
                        unsafe mask[row * Self.cellCount + cell] = cells.contains(cell) ? 0 : 0xFC00
                    }
                }
                let view = unsafe try #require(extras_attention_new())
                defer { unsafe extras_attention_free(view) }
                let isPlain = unsafe extras_attention_see(view, try source(3))
                #expect(isPlain && fits)
                unsafe extras_attention_take(view, node)
                let graph = unsafe ggml_new_graph(context)
                unsafe ggml_build_forward_expand(graph, node)
                let status = unsafe ggml_graph_compute_with_ctx(context, graph, threads)
                unsafe extras_attention_give_back(node)
                #expect(status == GGML_STATUS_SUCCESS)
                #expect(unsafe node.pointee.op == GGML_OP_FLASH_ATTN_EXT)
                let out = unsafe node.pointee.data.assumingMemoryBound(to: Float.self)
                return unsafe Array(UnsafeBufferPointer(start: out, count: rowCount * 4 * width))
            }
        }

        private static let types = [GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_Q8_0]
        private static let pairs = types.flatMap { keys in types.map { [keys.rawValue, $0.rawValue] } }

        /// Against what the formula says, in doubles: softmax(q · k / 2) · v over the cells that each row sees, with
        /// products bounded by a cap and a head's sink among what weights are divided by.
        @Test(arguments: pairs, [(0, false), (3, false), (0, true)] as [(Float, Bool)])
        func `is what the formula says`(types: [UInt32], kind: (cap: Float, hasSinks: Bool)) throws {
            guard try Self.isKnown() else { return }
            let (rows, width, cells) = (16, 96, Node.cellCount)
            let node = Node(
                rows: rows, width: width, keys: ggml_type(types[0]), values: ggml_type(types[1]), cap: kind.cap,
                hasSinks: kind.hasSinks)
            let inputs = try node.fill(seed: 3)
            // Of one row nothing is seen, of one a single cell, of one all; and a prompt's rows see one more each.
            let seen =
                [[], [201], Array(0..<cells), [0, 1, 2, 63, 64, 255], Array(40..<73) + Array(150..<190)]
                + (0..<11).map { Array(7..<30) + Array(60..<75 + $0) }
            let out = try node.run(seen: Dictionary(uniqueKeysWithValues: seen.enumerated().map { ($0, $1) }))
            for row in 0..<rows {
                for head in 0..<4 {
                    func slice(_ floats: [Float], _ index: Int) -> [Double] {
                        floats[index * width..<(index + 1) * width].map(Double.init)
                    }
                    let first = head / 2 * cells
                    let expected = Self.attention(
                        slice(inputs[0], head * rows + row), keys: seen[row].map { slice(inputs[1], first + $0) },
                        values: seen[row].map { slice(inputs[2], first + $0) }, cap: Double(kind.cap),
                        sink: kind.hasSinks ? Double(inputs[3][head]) : nil)
                    for d in 0..<width {
                        let value = Double(out[(row * 4 + head) * width + d])
                        #expect(abs(value - expected[d]) < 2e-6, "row \(row), head \(head), \(d)")
                    }
                }
            }
        }

        /// softmax(query · keys / 2) · values; zeros of nothing.
        private static func attention(
            _ query: [Double], keys: [[Double]], values: [[Double]], cap: Double, sink: Double?
        ) -> [Double] {
            var (sums, total) = ([Double](repeating: 0, count: query.count), sink.map(exp) ?? 0)
            for (key, value) in zip(keys, values) {
                var product = 0.0
                for d in query.indices { product += query[d] * key[d] / 2 }
                let weight = exp(cap == 0 ? product : cap * tanh(product / cap))
                total += weight
                for d in query.indices { sums[d] += weight * value[d] }
            }
            return total == 0 ? sums : sums.map { $0 / total }
        }

        /// Heads of few rows read cells as they are stored, of many cells that are unpacked for all of them. What comes
        /// out has the same bits, and so has a row at the end of four heads, of 32 rows or of a block of 16 cells.
        @Test(arguments: types.map(\.rawValue), [(0, false), (3, true)] as [(Float, Bool)])
        func `computes a row of a prompt as it does the row alone`(
            type: UInt32, kind: (cap: Float, hasSinks: Bool)
        ) throws {
            guard try Self.isKnown() else { return }
            for width in [32, 96, 128] {
                let node = Node(
                    rows: 70, width: width, keys: ggml_type(type), cap: kind.cap, hasSinks: kind.hasSinks)
                _ = try node.fill(seed: 5)
                let seen = Dictionary(uniqueKeysWithValues: (0..<70).map { ($0, Array(9...20 + 3 * $0)) })
                let size = 4 * width
                for threads: Int32 in [1, 3] {
                    let together = try node.run(seen: seen, threads: threads)
                    for row in [0, 1, 2, 31, 32, 33, 62, 69] {
                        let alone = try node.run(seen: [row: seen[row] ?? []], threads: 1)
                        let slice = row * size..<(row + 1) * size
                        #expect(
                            Array(together[slice]).isIdentical(to: Array(alone[slice])), "row \(row), width \(width)")
                    }
                }
            }
        }

        @Test func `leaves what it does not know to the library`() throws {
            guard try Self.isKnown() else { return }
            #expect(Node().fits && Node(keys: GGML_TYPE_Q8_0).fits && Node(keys: GGML_TYPE_F32).fits)
            #expect(Node(cap: 50).fits && Node(hasSinks: true).fits && !Node(bias: 8).fits)
            #expect(!Node(width: 48).fits && !Node(width: 2048).fits && !Node(keys: GGML_TYPE_Q4_0).fits)
        }
    }
}
