/// A name of the domain name system. Names that differ in the case of ASCII letters only are the same.
package struct DomainName: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The labels as they were written, the first first.
    package let labels: [[UInt8]]
    /// The labels in lower case.
    private let folded: [[UInt8]]

    /// Makes a name; none is the root.
    ///
    /// **Throws:** `DNSError.label` or `.name` when a label or the whole is too long or a label empty.
    package init(labels: [[UInt8]]) throws(DNSError) {
        for label in labels where !(1...DiscoveryLimits.labelBytes).contains(label.count) {
            throw .label(length: label.count, limit: DiscoveryLimits.labelBytes, offset: 0)
        }
        let bytes = labels.reduce(1) { $0 + 1 + $1.count }
        guard bytes <= DiscoveryLimits.nameBytes else { throw .name(bytes: bytes, limit: DiscoveryLimits.nameBytes) }
        self.init(checked: labels)
    }

    private init(checked labels: [[UInt8]]) {
        self.labels = labels
        folded = labels.map { $0.map(Self.folded) }
    }

    /// A service's type, and the name below which all types are listed. **Source:** RFC 6763 §7, §9.
    package static let service = DomainName(known: "_skein", "_tcp", "local")
    static let allServices = DomainName(known: "_services", "_dns-sd", "_udp", "local")

    private init(known labels: String...) { self.init(checked: labels.map { Array($0.utf8) }) }

    /// An instance of the service: a label for people, cut to what a label holds, in front of the type.
    static func instance(_ label: String) -> DomainName {
        DomainName(checked: [Self.cut(label, to: DiscoveryLimits.labelBytes)] + service.labels)
    }

    /// A host on the link.
    static func host(_ label: String) -> DomainName {
        DomainName(checked: [Self.cut(label, to: DiscoveryLimits.labelBytes), Array("local".utf8)])
    }

    /// The text's bytes, without half a letter at the end; never none.
    static func cut(_ text: String, to limit: Int) -> [UInt8] {
        var text = text
        while text.utf8.count > limit { text.removeLast() }
        return text.isEmpty ? Array("skein".utf8) : Array(text.utf8)
    }

    /// Whether it is an instance of the service.
    var isInstance: Bool { folded.count == 4 && Array(folded[1...]) == Self.service.folded }

    /// The labels in lower case from one of them on; names a place in a message where they may stand already.
    func suffix(from index: Int) -> ArraySlice<[UInt8]> { folded[index...] }

    private static func folded(_ byte: UInt8) -> UInt8 { (65...90).contains(byte) ? byte + 32 : byte }

    /// As many bytes as it takes in a message, without compression.
    var wireBytes: [UInt8] { labels.flatMap { [UInt8($0.count)] + $0 } + [0] }

    /// The labels with dots in between; a dot or backslash within one has a backslash in front.
    package var description: String {
        labels.map { label in
            String(decoding: label, as: UTF8.self).reduce(into: "") { text, letter in
                if letter == "." || letter == "\\" { text.append("\\") }
                text.append(letter)
            }
        }.joined(separator: ".")
    }

    /// Same but for the case of ASCII letters.
    package static func == (left: Self, right: Self) -> Bool { left.folded == right.folded }

    /// Agrees with `==`.
    package func hash(into hasher: inout Hasher) { hasher.combine(folded) }

    /// Orders by label; the order has no meaning but to be the same everywhere.
    package static func < (left: Self, right: Self) -> Bool {
        left.folded.lexicographicallyPrecedes(right.folded) { $0.lexicographicallyPrecedes($1) }
    }
}
