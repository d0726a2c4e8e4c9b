/// Base64 as files travel in (RFC 4648 §4): the alphabet with `+` and `/`, padded; nothing else counts.
package enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Bytes as text.
    package static func text(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let value = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
            for place in 0..<4 {
                text.append(
                    place <= group.count ? alphabet[Int(value >> UInt32(18 - 6 * place) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The bytes of a text; nil when it is not base64.
    package static func bytes(_ text: String) -> [UInt8]? {
        var text = text
        return text.withUTF8 { digits -> [UInt8]? in
            guard digits.count % 4 == 0 else { return nil }
            let padding = digits.suffix(2).reversed().prefix { $0 == UInt8(ascii: "=") }.count
            var bytes: [UInt8] = []
            bytes.reserveCapacity(digits.count / 4 * 3)
            var word: UInt32 = 0
            for (index, digit) in digits.dropLast(padding).enumerated() {
                let value = values[Int(digit)]
                guard value < 64 else { return nil }
                word = word << 6 | UInt32(value)
                guard index % 4 == 3 else { continue }
                for shift: UInt32 in [16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
                word = 0
            }
            // Bits behind the last byte must be 0, so that a file has one spelling.
            switch padding {
            case 1:
                guard word & 3 == 0 else { return nil }
                bytes.append(UInt8(truncatingIfNeeded: word >> 10))
                bytes.append(UInt8(truncatingIfNeeded: word >> 2))
            case 2:
                guard word & 15 == 0 else { return nil }
                bytes.append(UInt8(truncatingIfNeeded: word >> 4))
            default: break
            }
            return bytes
        }
    }

    /// How many bytes a text of this length can be at most, before any of it is decoded.
    package static func byteCount(ofDigits count: Int) -> Int { count / 4 * 3 }

    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, digit) in alphabet.enumerated() { values[Int(digit)] = UInt8(value) }
        return values
    }()
}
