/// An image, or the part of one that is encoded at once, as rows of the model's input.
///
/// Where text has token ids, these rows have ids below 0 that follow from the image: two prompts have the same ids
/// where they show the same image, so that whatever compares tokens compares images, too.
package final class ImageRows: Sendable {
    /// The rows' ids, all below 0.
    package let ids: [Token]
    /// Floats per row.
    package let width: Int
    /// The rows. **Shape:** `[ids.count, width]`, row-major f32.
    package let values: [Float]

    /// Rows of part `part` of the image with this digest, as the projector with that digest makes them.
    ///
    /// **Shape:** `values` is `[count, width]` with `width` at least 1.
    package init(image: [UInt8], part: Int, projector: [UInt8], width: Int, values: [Float]) {
        precondition(width > 0 && values.count % width == 0, "\(values.count) floats in rows of \(width)")
        self.width = width
        self.values = values
        let seed = SecureDigest.of(projector + image + Self.bytes(of: part))
        ids = (0..<values.count / width).map { row in
            let digest = SecureDigest.of(seed + Self.bytes(of: row))
            let word = digest.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            return Token(bitPattern: word | 1 << 31)
        }
    }

    /// Row `index`. **Shape:** `[width]`.
    package func row(_ index: Int) -> ArraySlice<Float> { values[index * width..<(index + 1) * width] }

    private static func bytes(of number: Int) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }
}

/// Where an image's rows stand in a prompt.
package struct ImageSpan: Hashable, Sendable {
    /// Position of the first row.
    package var start: Int
    /// The rows.
    package var rows: ImageRows

    /// Places rows.
    package init(start: Int, rows: ImageRows) {
        self.start = start
        self.rows = rows
    }

    /// The positions.
    package var positions: Range<Int> { start..<start + rows.ids.count }

    /// Spans are the same when they have the same rows, by their ids, at the same place.
    package static func == (left: ImageSpan, right: ImageSpan) -> Bool {
        left.start == right.start && left.rows.ids == right.rows.ids
    }

    /// Hashes what `==` compares.
    package func hash(into hasher: inout Hasher) {
        hasher.combine(start)
        hasher.combine(rows.ids)
    }
}

extension [ImageSpan] {
    /// The row at a position of the prompt; nil where there is text. **Shape:** `[width]`.
    package func row(at position: Int) -> ArraySlice<Float>? {
        for span in self where span.positions.contains(position) { return span.rows.row(position - span.start) }
        return nil
    }
}
