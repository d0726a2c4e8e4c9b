package import Vocabulary

/// A dense matrix. **Shape:** `[rows, columns]`, row-major f32.
struct Matrix: Sendable {
    let rows: Int
    let columns: Int
    let values: [Float]

    /// Uniform values with variance `gain² / columns`.
    init(rows: Int, columns: Int, gain: Float, random: inout SeededRandom) {
        self.rows = rows
        self.columns = columns
        let bound = gain * ExactMath.squareRoot(3 / Float(columns))
        values = (0..<rows * columns).map { _ in
            bound * (Float(random.next() >> 40) * 0x1p-23 - 1)
        }
    }

    /// `y = M x`, summed in index order.
    func multiply(_ x: [Float], into y: inout [Float]) {
        // Loops are written out: test builds are not optimised, and nearly all of a test's time is spent here.
        let (values, x) = (values.span, x.span)
        var row = 0
        var at = 0
        while row < rows {
            var sum: Float = 0
            var column = 0
            while column < columns {
                sum += values[at] * x[column]
                at &+= 1
                column &+= 1
            }
            y[row] = sum
            row &+= 1
        }
    }
}

/// A tiny decoder-only transformer with random weights: everything above an engine is tested with it.
///
/// Weights depend on the seed and on their place in the uncut model alone, so every stage makes its own.
package struct ReferenceModel: Sendable {
    /// Sizes of the model.
    package struct Sizes: Hashable, Sendable {
        /// Number of layers.
        package var layerCount: Int
        /// Width of the residual stream.
        package var width: Int
        /// Attention heads; divides `width`.
        package var headCount: Int
        /// Width of the feed-forward part.
        package var hidden: Int
        /// Whether a sequence counts as a state of its newest position, as recurrent layers keep it: stages then refuse
        /// to copy or to forget a part of one. What is computed stays the same.
        package var isRecurrent: Bool

        /// Makes sizes; the caller MUST pass positive numbers and heads that divide the width.
        package init(
            layerCount: Int = 8, width: Int = 16, headCount: Int = 2, hidden: Int = 24, isRecurrent: Bool = false
        ) {
            precondition(layerCount >= 1 && width >= 1 && hidden >= 1, "sizes \(layerCount), \(width), \(hidden)")
            precondition(headCount >= 1 && width % headCount == 0, "\(headCount) heads do not divide \(width)")
            self.layerCount = layerCount
            self.width = width
            self.headCount = headCount
            self.hidden = hidden
            self.isRecurrent = isRecurrent
        }
    }

    struct Layer: Sendable {
        let query, key, value, output: Matrix
        let gate, up, down: Matrix

        init(_ sizes: Sizes, seed: UInt64) {
            var random = SeededRandom(seed: seed)
            func square() -> Matrix {
                Matrix(rows: sizes.width, columns: sizes.width, gain: 1.2, random: &random)
            }
            query = square()
            key = square()
            value = square()
            output = square()
            gate = Matrix(rows: sizes.hidden, columns: sizes.width, gain: 1.5, random: &random)
            up = Matrix(rows: sizes.hidden, columns: sizes.width, gain: 1, random: &random)
            down = Matrix(rows: sizes.width, columns: sizes.hidden, gain: 1.5, random: &random)
        }
    }

    /// Sizes of the uncut model.
    package let sizes: Sizes
    /// The layers whose weights are here.
    package let range: LayerRange
    let layers: [Layer]
    /// Nil unless tokens enter here. **Shape:** `[vocabulary, width]`.
    let embedding: Matrix?
    /// Nil unless logits leave here. **Shape:** `[vocabulary, width]`.
    let head: Matrix?

    /// Makes the weights of `range`; nil means all layers.
    package init(sizes: Sizes = Sizes(), seed: UInt64, range: LayerRange? = nil) {
        let range = range ?? LayerRange(first: 0, end: sizes.layerCount)
        precondition(range.end <= sizes.layerCount, "range \(range) exceeds \(sizes.layerCount) layers")
        self.sizes = sizes
        self.range = range
        layers = range.indices.map { Layer(sizes, seed: seed &* 1_000_003 &+ UInt64($0)) }
        let vocabulary = ReferenceTokenizer.size
        var tokens = SeededRandom(seed: seed &* 1_000_003 &+ 1_000_001)
        embedding =
            range.first == 0
            ? Matrix(
                rows: vocabulary, columns: sizes.width, gain: ExactMath.squareRoot(Float(sizes.width)), random: &tokens)
            : nil
        var logits = SeededRandom(seed: seed &* 1_000_003 &+ 1_000_002)
        head =
            range.end == sizes.layerCount
            ? Matrix(rows: vocabulary, columns: sizes.width, gain: 2.5, random: &logits) : nil
    }
}
