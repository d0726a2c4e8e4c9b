import Crypto

/// The text of API keys.
package enum KeySecret {
    /// How every key begins, so that people and secret scanners know one when they see it.
    package static let prefix = "sk-skein-"

    /// A fresh key. The generator MUST be the system's: whoever can guess its numbers has the key.
    package static func make(using generator: inout some RandomNumberGenerator) -> String {
        let bytes = (0..<Limits.keyBytes).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        return prefix + base64URL(bytes)
    }

    /// SHA-256 of a key's text, 32 bytes; why no slow hash is needed stands at `APIKey`.
    package static func digest(of secret: String) -> [UInt8] { Array(SHA256.hash(data: Array(secret.utf8))) }

    /// RFC 4648 §5 without padding.
    private static func base64URL(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var text: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 6 {
                count -= 6
                text.append(alphabet[Int(bits >> UInt32(count) & 63)])
            }
        }
        if count > 0 { text.append(alphabet[Int(bits << UInt32(6 - count) & 63)]) }
        return String(decoding: text, as: UTF8.self)
    }
}
