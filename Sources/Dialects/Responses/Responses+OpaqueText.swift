extension Responses {
    /// Text in a form clients hand back without looking into it: `encrypted_content` of reasoning and compactions.
    ///
    /// It is not secret (the client may read its own reasoning and summaries); the form only survives the trip through
    /// clients that send back nothing but this member.
    /// **Encoding:** `skein-1.` and base64url (RFC 4648 §5) of UTF-8, without padding.
    enum OpaqueText {
        private static let mark = "skein-1."
        private static let alphabet = Array(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

        static func seal(_ bytes: [UInt8]) -> String {
            var sealed = Array(mark.utf8)
            for start in stride(from: 0, to: bytes.count, by: 3) {
                let group = bytes[start..<min(start + 3, bytes.count)]
                var value = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                value <<= UInt32(8 * (3 - group.count))
                for place in 0...group.count {
                    sealed.append(alphabet[Int(value >> UInt32(18 - 6 * place) & 63)])
                }
            }
            return String(decoding: sealed, as: UTF8.self)
        }

        /// The text; nil for what was not sealed here.
        static func open(_ text: String) -> String? {
            guard text.hasPrefix(mark) else { return nil }
            var bytes: [UInt8] = []
            var value: UInt32 = 0
            var bits = 0
            for byte in text.utf8.dropFirst(mark.utf8.count) {
                guard let digit = digit(byte) else { return nil }
                value = (value << 6 | digit) & 0xFFFFF
                bits += 6
                if bits >= 8 {
                    bits -= 8
                    bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(bits)))
                }
            }
            guard bits < 6, value & ((1 << UInt32(bits)) - 1) == 0 else { return nil }
            return String(validating: bytes, as: UTF8.self)
        }

        private static func digit(_ byte: UInt8) -> UInt32? {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte - UInt8(ascii: "A"))
            case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte - UInt8(ascii: "a")) + 26
            case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0")) + 52
            case UInt8(ascii: "-"): 62
            case UInt8(ascii: "_"): 63
            default: nil
            }
        }
    }
}
