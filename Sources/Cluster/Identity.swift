import Vocabulary

/// Identity of a node: drawn once, kept across restarts, the subject of its certificate.
package struct NodeID: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    /// The number behind the identity.
    package let value: UInt64

    /// Wraps a number.
    package init(_ value: UInt64) { self.value = value }

    /// Sixteen hexadecimal digits.
    package var description: String { Hexadecimal.text(of: value) }

    /// Orders by number; the order has no meaning but to break ties the same way everywhere.
    package static func < (left: NodeID, right: NodeID) -> Bool { left.value < right.value }
}

/// Identity of a command: the node that took it and a number that this node never uses again.
package struct CommandID: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    /// The node that took the command from its caller.
    package let origin: NodeID
    /// Drawn by the caller; the same number means the same command.
    package let number: UInt64

    /// Makes (origin, number).
    package init(origin: NodeID, number: UInt64) {
        self.origin = origin
        self.number = number
    }

    /// `origin/number`.
    package var description: String { "\(origin)/\(number)" }

    /// Orders by origin, then by number.
    package static func < (left: CommandID, right: CommandID) -> Bool {
        (left.origin, left.number) < (right.origin, right.number)
    }
}
