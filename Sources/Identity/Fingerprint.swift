import Crypto
import Vocabulary

/// A SHA-256: names a certificate, a public key or a secret without being it.
package struct Fingerprint: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Size of a fingerprint. **Units:** bytes.
    package static let byteCount = 32

    /// The digest, always 32 bytes.
    package let bytes: [UInt8]

    /// The fingerprint of some bytes.
    package init(of bytes: some Sequence<UInt8>) {
        self.bytes = Array(SHA256.hash(data: Array(bytes)))
    }

    /// Takes 32 bytes, or returns nil for any other number.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = Array(bytes)
    }

    /// Reads 64 hexadecimal digits, or returns nil for anything else.
    package init?(hexadecimal text: some StringProtocol) {
        guard let bytes = Hexadecimal.bytes(text), bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// Whether both are the same, found out in a time that does not depend on where they differ.
    package func equalsInConstantTime(_ other: Fingerprint) -> Bool {
        zip(bytes, other.bytes).reduce(into: UInt8(0)) { $0 |= $1.0 ^ $1.1 } == 0
    }

    /// Lower-case hexadecimal.
    package var description: String { Hexadecimal.text(bytes) }

    /// The first sixteen digits, for sentences.
    package var short: String { String(description.prefix(16)) }

    /// Orders by bytes; the order has no meaning but to be the same everywhere.
    package static func < (left: Fingerprint, right: Fingerprint) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}
