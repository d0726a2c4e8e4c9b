import Crypto
import Vocabulary

/// The text of API keys.
package enum KeySecret {
    /// How every key begins, so that people and secret scanners know one when they see it.
    package static let prefix = "sk-skein-"

    /// A fresh key. The generator MUST be the system's: whoever can guess its numbers has the key.
    package static func make(using generator: inout some RandomNumberGenerator) -> String {
        let bytes = (0..<Limits.keyBytes).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        return prefix + Base64URL.text(bytes)
    }

    /// SHA-256 of a key's text, 32 bytes; why no slow hash is needed stands at `APIKey`.
    package static func digest(of secret: String) -> [UInt8] { Array(SHA256.hash(data: Array(secret.utf8))) }
}
