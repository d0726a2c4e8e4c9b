/// A number of a host: IPv4 or IPv6.
package struct HostAddress: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Four or sixteen bytes, in the order of the network.
    package let bytes: [UInt8]

    /// Takes four or sixteen bytes; nil for any other number.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = Array(bytes)
    }

    /// Whether it is one of IPv6.
    package var isVersion6: Bool { bytes.count == 16 }

    /// Whether another host could have it: neither nothing, nor this machine itself, nor a group.
    package var isDialable: Bool {
        if isVersion6 {
            return bytes[0] != 0xFF && bytes.dropLast().contains { $0 != 0 }
        }
        return bytes[0] != 0 && bytes[0] != 127 && bytes[0] < 224
    }

    /// `A.B.C.D`, or the short form of IPv6. **Source:** RFC 5952 §4.
    package var description: String {
        guard isVersion6 else { return bytes.map { "\($0)" }.joined(separator: ".") }
        let groups = (0..<8).map { UInt16(bytes[2 * $0]) << 8 | UInt16(bytes[2 * $0 + 1]) }
        var longest = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start > max(1, longest.count) { longest = start..<end }
            start = max(end, start + 1)
        }
        func text(_ groups: some Sequence<UInt16>) -> String {
            groups.map { String($0, radix: 16) }.joined(separator: ":")
        }
        if longest.isEmpty { return text(groups) }
        return text(groups[..<longest.lowerBound]) + "::" + text(groups[longest.upperBound...])
    }

    /// IPv4 first, then by number; the order has no meaning but to be the same everywhere.
    package static func < (left: Self, right: Self) -> Bool {
        (left.bytes.count, Order(left.bytes)) < (right.bytes.count, Order(right.bytes))
    }

    private struct Order: Comparable {
        let bytes: [UInt8]
        init(_ bytes: [UInt8]) { self.bytes = bytes }
        static func < (left: Self, right: Self) -> Bool { left.bytes.lexicographicallyPrecedes(right.bytes) }
    }
}
