import CLlama
import CLlamaExtras
import Foundation
import GGUF
import Testing
import Vocabulary

@testable import LlamaEngine

extension `The engine` {
    /// The library's products of matrices, with what is forced into its build (`Scripts/engine`).
    @Suite struct `Products of weights and rows` {
        /// Products of matrices of weights with rows.
        @safe private final class Product {
            let context: OpaquePointer
            let weights: UnsafeMutablePointer<ggml_tensor>
            let rows: UnsafeMutablePointer<ggml_tensor>
            let node: UnsafeMutablePointer<ggml_tensor>

            private static func makeContext(bytes: Int = 128 << 20) -> OpaquePointer {
                unsafe ggml_init(ggml_init_params(mem_size: bytes, mem_buffer: nil, no_alloc: false))
            }

            /// Of `count` matrices, each with `shared` of rows. Rows of weights are `apart` times as far from each
            /// other as they are long.
            init(
                type: ggml_type, height: Int, width: Int, rows rowCount: Int, count: Int = 1, shared: Int = 1,
                apart: Int = 1
            ) {
                unsafe context = Self.makeContext()
                let all: UnsafeMutablePointer<ggml_tensor> = unsafe ggml_new_tensor_3d(
                    context, type, Int64(width * apart), Int64(height), Int64(count))
                unsafe weights =
                    apart == 1
                    ? all : ggml_view_2d(context, all, Int64(width), Int64(height), all.pointee.nb.1, 0)
                unsafe rows = ggml_new_tensor_3d(
                    context, GGML_TYPE_F32, Int64(width), Int64(rowCount), Int64(count * shared))
                unsafe node = ggml_mul_mat(context, weights, rows)
            }

            /// Of `experts` matrices with the rows that chose them, `chosen` by token. A token has `slots` rows: one
            /// for all the experts it chose, or one for each.
            init(type: ggml_type, height: Int, width: Int, experts: Int, slots: Int, chosen: [[Int32]]) {
                unsafe context = Self.makeContext()
                let tokens = Int64(chosen.count)
                unsafe weights = ggml_new_tensor_3d(context, type, Int64(width), Int64(height), Int64(experts))
                unsafe rows = ggml_new_tensor_3d(context, GGML_TYPE_F32, Int64(width), Int64(slots), tokens)
                let choices: UnsafeMutablePointer<ggml_tensor> = unsafe ggml_new_tensor_2d(
                    context, GGML_TYPE_I32, Int64(chosen[0].count), tokens)
                for (index, expert) in chosen.joined().enumerated() {
                    unsafe choices.pointee.data.assumingMemoryBound(to: Int32.self)[index] = expert
                }
                unsafe node = ggml_mul_mat_id(context, weights, rows, choices)
            }

            deinit { unsafe ggml_free(context) }

            /// Computes it for these rows, and answers what came out: by matrix, then by row; or by token, then by
            /// choice.
            func run(_ values: [[Float]], threads: Int32) -> [[Float]] {
                let made = unsafe Self.makeContext(bytes: ggml_graph_overhead())
                defer { unsafe ggml_free(made) }
                for (index, row) in values.enumerated() {
                    for (column, value) in row.enumerated() {
                        unsafe rows.pointee.data.assumingMemoryBound(to: Float.self)[index * row.count + column] = value
                    }
                }
                let graph = unsafe ggml_new_graph(made)
                unsafe ggml_build_forward_expand(graph, node)
                var plan = unsafe ggml_graph_plan(graph, threads, nil)
                let work = UnsafeMutableRawBufferPointer.allocate(byteCount: plan.work_size + 1, alignment: 64)
                defer { unsafe work.deallocate() }
                unsafe plan.work_data = work.baseAddress?.assumingMemoryBound(to: UInt8.self)
                #expect(unsafe ggml_graph_compute(graph, &plan) == GGML_STATUS_SUCCESS)
                let height = unsafe Int(node.pointee.ne.0)
                let out = unsafe node.pointee.data.assumingMemoryBound(to: Float.self)
                return (0..<(unsafe Int(ggml_nrows(node)))).map { row in
                    (0..<height).map { unsafe out[row * height + $0] }
                }
            }

            /// Fills the weights with numbers from -1 to 1, and answers what they are then, row by row.
            func fill(_ random: inout some RandomNumberGenerator) -> [[Float]] {
                let values = unsafe RandomTensor.fill(weights, &random)
                let width = unsafe Int(weights.pointee.ne.0)
                return stride(from: 0, to: values.count, by: width).map { Array(values[$0..<$0 + width]) }
            }
        }

        private static func rows(_ count: Int, width: Int, _ random: inout some RandomNumberGenerator) -> [[Float]] {
            (0..<count).map { _ in (0..<width).map { _ in Float.random(in: -3...3, using: &random) } }
        }

        /// Types that are multiplied by strips.
        private static let types = [GGML_TYPE_Q8_0, GGML_TYPE_Q4_K, GGML_TYPE_Q5_K, GGML_TYPE_Q6_K].map(\.rawValue)

        /// What the library makes of a row before it multiplies weights with it: blocks of values that are whole
        /// multiples of a factor. **Source:** `quantize_row_q8_0` and `quantize_row_q8_K`.
        private static func rounded(_ row: [Float], for type: ggml_type) -> [Double] {
            let size = type == GGML_TYPE_Q8_0 ? 32 : 256
            return stride(from: 0, to: row.count, by: size).flatMap { start in
                let block = row[start..<start + size]
                let largest = block.max { abs($0) < abs($1) } ?? 0
                guard largest != 0 else { return [Double](repeating: 0, count: size) }
                if type == GGML_TYPE_Q8_0 {
                    let step = abs(largest) / 127
                    return block.map { Double(($0 * (1 / step)).rounded()) * Double(Float(Float16(step))) }
                }
                let inverse = -127 / largest
                return block.map { Double((inverse * $0).rounded(.toNearestOrEven)) * Double(1 / inverse) }
            }
        }

        /// Heights that are no multiple of what is multiplied at a time, widths of one block and of many.
        @Test(arguments: types, [(16, 256), (1, 512), (17, 1024), (200, 3072), (1000, 256)])
        func `are what the formula says`(typeNumber: UInt32, shape: (height: Int, width: Int)) {
            let type = ggml_type(typeNumber)
            for count in [1, 3, 16, 17, 70] {
                var random = SeededRandom(seed: 5)
                let product = Product(type: type, height: shape.height, width: shape.width, rows: count)
                let weights = product.fill(&random)
                let rows = Self.rows(count, width: shape.width, &random)
                let values = product.run(rows, threads: Int32(count % 3 + 1))
                var most = 0.0
                for (row, values) in zip(rows, values) {
                    let row = Self.rounded(row, for: type)
                    for (weights, value) in zip(weights, values) {
                        var (sum, size) = (0.0, 0.0)
                        for (weight, factor) in zip(weights, row) {
                            sum += Double(weight) * factor
                            size += abs(Double(weight) * factor)
                        }
                        most = max(most, abs(Double(value) - sum) / size)
                    }
                }
                #expect(most < 1e-6, "\(count) rows")
            }
        }

        /// More rows than are prepared at a time, too: of 256 values that is 512, of 1,024 or more 80, and of less than
        /// many 32 with 8,192 values and nine with 28,672. Of many rows longer ones go in parts.
        @Test(
            arguments: types,
            [
                (48, 1024, [2, 5, 16, 19, 33, 70, 170]), (17, 256, [600]), (48, 8192, [31, 32, 70]),
                (33, 28_672, [9, 19, 70]),
            ])
        func `give a row the bits it has alone`(
            typeNumber: UInt32, shape: (height: Int, width: Int, counts: [Int])
        ) throws {
            guard extras_multiplies_by_strips(typeNumber) else { return }
            let type = ggml_type(typeNumber)
            var random = SeededRandom(seed: 8)
            let alone = Product(type: type, height: shape.height, width: shape.width, rows: 1)
            _ = alone.fill(&random)
            let rows = Self.rows(shape.counts.max() ?? 0, width: shape.width, &random)
            let expected = rows.map { alone.run([$0], threads: 1)[0] }
            for count in shape.counts {
                let product = Product(type: type, height: shape.height, width: shape.width, rows: count)
                unsafe memcpy(product.weights.pointee.data, alone.weights.pointee.data, ggml_nbytes(alone.weights))
                for threads in [1, 2, 3] as [Int32] {
                    let values = product.run(Array(rows.prefix(count)), threads: threads)
                    #expect(zip(values, expected).allSatisfy { $0.isIdentical(to: $1) }, "\(count) rows")
                }
            }
        }

        /// Whichever experts the tokens beside it choose, with one row for all of a token's choices and one for each.
        @Test(arguments: types, [1, 3])
        func `of experts give a row the bits it has alone`(typeNumber: UInt32, slots: Int) throws {
            guard extras_multiplies_by_strips(typeNumber) else { return }
            let (type, height, width, experts) = (ggml_type(typeNumber), 40, 512, 6)
            var random = SeededRandom(seed: 21)
            let chosen = (0..<30).map { _ in Array((0..<Int32(experts)).shuffled(using: &random).prefix(3)) }
            let rows = Self.rows(slots * chosen.count, width: width, &random)
            let all = Product(
                type: type, height: height, width: width, experts: experts, slots: slots, chosen: chosen)
            _ = all.fill(&random)
            let alone = Product(type: type, height: height, width: width, rows: 1)
            let bytes = unsafe ggml_nbytes(alone.weights)
            let expected = chosen.enumerated().flatMap { token, experts in
                experts.enumerated().map { slot, expert in
                    unsafe memcpy(
                        alone.weights.pointee.data, all.weights.pointee.data + Int(expert) * bytes, bytes)
                    return alone.run([rows[token * slots + slot % slots]], threads: 1)[0]
                }
            }
            for count in [1, 4, 30] {
                let some = Product(
                    type: type, height: height, width: width, experts: experts, slots: slots,
                    chosen: Array(chosen.prefix(count)))
                unsafe memcpy(some.weights.pointee.data, all.weights.pointee.data, experts * bytes)
                for threads in [1, 2, 3] as [Int32] {
                    let values = some.run(Array(rows.prefix(slots * count)), threads: threads)
                    #expect(values.count == 3 * count)
                    #expect(zip(values, expected).allSatisfy { $0.isIdentical(to: $1) }, "\(count) tokens")
                }
            }
        }

        /// Rows longer than can be prepared are the library's.
        @Test func `of very long rows are the library's`() {
            var random = SeededRandom(seed: 2)
            let width = 300_000
            let product = Product(type: GGML_TYPE_Q8_0, height: 16, width: width, rows: 2)
            let weights = product.fill(&random)
            let rows = Self.rows(2, width: width, &random)
            let values = product.run(rows, threads: 2)
            let factors = zip(weights[3], Self.rounded(rows[1], for: GGML_TYPE_Q8_0)).map { Double($0.0) * $0.1 }
            let sum = factors.reduce(0, +), size = factors.reduce(0) { $0 + abs($1) }
            #expect(abs(Double(values[1][3]) - sum) / size < 1e-6)
        }

        /// Two matrices of rows for each of weights.
        @Test(arguments: types)
        func `of several matrices are those of each`(typeNumber: UInt32) {
            var random = SeededRandom(seed: 13)
            let type = ggml_type(typeNumber)
            let (height, width, count) = (80, 256, 5)
            let many = Product(type: type, height: height, width: width, rows: count, count: 3, shared: 2)
            _ = many.fill(&random)
            let rows = Self.rows(6 * count, width: width, &random)
            let values = many.run(rows, threads: 2)
            let one = Product(type: type, height: height, width: width, rows: count)
            let bytes = unsafe ggml_nbytes(one.weights)
            for index in 0..<6 {
                unsafe memcpy(one.weights.pointee.data, many.weights.pointee.data + index / 2 * bytes, bytes)
                let part = index * count..<(index + 1) * count
                let expected = one.run(Array(rows[part]), threads: 1)
                #expect(zip(values[part], expected).allSatisfy { $0.isIdentical(to: $1) }, "matrix \(index)")
            }
        }

        /// As of keys and values that several lanes share.
        @Test(arguments: types)
        func `of rows of weights that are apart are those of the same side by side`(typeNumber: UInt32) {
            var random = SeededRandom(seed: 34)
            let (height, width, count) = (40, 512, 7)
            let type = ggml_type(typeNumber)
            let dense = Product(type: type, height: height, width: width, rows: count)
            _ = dense.fill(&random)
            let apart = Product(type: type, height: height, width: width, rows: count, apart: 3)
            let (near, far) = unsafe (dense.weights.pointee.nb.1, apart.weights.pointee.nb.1)
            #expect(far == 3 * near)
            for row in 0..<height {
                unsafe memcpy(apart.weights.pointee.data + row * far, dense.weights.pointee.data + row * near, near)
            }
            let rows = Self.rows(count, width: width, &random)
            let (values, expected) = (apart.run(rows, threads: 2), dense.run(rows, threads: 1))
            #expect(zip(values, expected).allSatisfy { $0.isIdentical(to: $1) })
        }
    }
}
