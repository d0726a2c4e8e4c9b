/// Identity of one client request, unique within a node; it stays the same in every stage and every log line.
package struct RequestID: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    /// The number behind the identity.
    package let value: UInt64

    /// Wraps a number.
    package init(_ value: UInt64) { self.value = value }

    /// Sixteen hexadecimal digits.
    package var description: String { Hexadecimal.text(of: value) }

    /// Orders by number, that is by arrival within one node.
    package static func < (left: RequestID, right: RequestID) -> Bool { left.value < right.value }
}

/// Fencing identity of a placement: a stage obeys only the highest value it has accepted.
///
/// Ordered by leader term first, then by the epoch the leader counts within its term.
package struct Epoch: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    /// Leader term.
    package let term: UInt64
    /// Placement epoch within the term.
    package let number: UInt64

    /// Makes (term, number).
    package init(term: UInt64, number: UInt64) {
        self.term = term
        self.number = number
    }

    /// `term.number`.
    package var description: String { "\(term).\(number)" }

    /// Orders by term, then by number.
    package static func < (left: Epoch, right: Epoch) -> Bool {
        (left.term, left.number) < (right.term, right.number)
    }
}

/// Index of a sequence slot of the engines of one placement; the same lane means the same sequence on every stage.
///
/// **Units:** llama.cpp sequence id, `0 ..< laneCount`.
package struct Lane: Hashable, Sendable, Codable, Comparable {
    /// The slot's index.
    package let index: UInt16

    /// Wraps a slot index.
    package init(_ index: UInt16) { self.index = index }

    /// Orders by index.
    package static func < (left: Lane, right: Lane) -> Bool { left.index < right.index }
}

/// A token id of the model's vocabulary.
package typealias Token = Int32
