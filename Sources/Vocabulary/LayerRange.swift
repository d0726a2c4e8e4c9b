/// A half-open range `[first, end)` of transformer layers, counted from 0 in the uncut model.
///
/// **Units:** layer indices; `count == end - first >= 1`.
package struct LayerRange: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    /// Index of the first layer of the range.
    package let first: Int
    /// Index one past the last layer of the range.
    package let end: Int

    /// Makes `[first, end)`; the caller MUST pass `0 <= first < end`.
    package init(first: Int, end: Int) {
        precondition(first >= 0 && first < end, "layer range [\(first), \(end)) is empty or negative")
        self.first = first
        self.end = end
    }

    /// Number of layers in the range, at least 1.
    package var count: Int { end - first }

    /// `first..<end`, for loops over layer indices.
    package var indices: Range<Int> { first..<end }

    /// `[first,end)` in text, as used in plans and error sentences.
    package var description: String { "[\(first),\(end))" }

    /// Orders ranges by where they start, then by where they end.
    package static func < (left: LayerRange, right: LayerRange) -> Bool {
        (left.first, left.end) < (right.first, right.end)
    }
}

/// Where a model is cut: the ascending layer indices at which a new stage starts, without 0 and without the end.
///
/// A model of 8 layers with `boundaries == [3, 6]` runs as the stages `[0,3) [3,6) [6,8)`; no boundary means one stage.
package struct Cut: Hashable, Sendable, Codable, CustomStringConvertible {
    /// Number of layers of the uncut model.
    package let layerCount: Int
    /// Ascending first layers of every stage but the first.
    package let boundaries: [Int]

    /// Makes a cut, or nil when the boundaries are not strictly ascending inside `1 ..< layerCount`.
    package init?(layerCount: Int, boundaries: [Int]) {
        guard layerCount >= 1 else { return nil }
        var last = 0
        for boundary in boundaries {
            guard boundary > last, boundary < layerCount else { return nil }
            last = boundary
        }
        self.layerCount = layerCount
        self.boundaries = boundaries
    }

    /// No cut: one stage of all layers. The caller MUST pass at least one layer.
    package static func whole(layerCount: Int) -> Cut {
        precondition(layerCount >= 1, "a model of \(layerCount) layers")
        return Cut(layerCount)
    }

    private init(_ layerCount: Int) {
        self.layerCount = layerCount
        boundaries = []
    }

    /// Number of stages, at least 1.
    package var stageCount: Int { boundaries.count + 1 }

    /// The layer range of every stage, in order.
    package var stages: [LayerRange] {
        let edges = [0] + boundaries + [layerCount]
        return zip(edges, edges.dropFirst()).map { LayerRange(first: $0, end: $1) }
    }

    /// The stages in text: `[0,3) [3,6) [6,8)`.
    package var description: String { stages.map(\.description).joined(separator: " ") }
}
