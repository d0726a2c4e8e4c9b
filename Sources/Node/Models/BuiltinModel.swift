import CBuiltinModel
import Crypto
import FoundationEssentials
package import ModelStore
import Vocabulary

extension NodeService {
    /// Name of the built-in model.
    package static let builtinModelName = "skein-tiny"

    /// The built-in model as a file in the cache, written when it is not there yet.
    ///
    /// **Throws:** `StoreError.unwritable`.
    package static func builtinModelPath(cacheFolder: String) throws(StoreError) -> String {
        let path = "\(cacheFolder)/builtin/skein-tiny-q8_0.gguf"
        try StoreFiles.write(BuiltinModel.model, to: path)
        return path
    }
}

/// The models that are part of the program.
enum BuiltinModel {
    static var model: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: builtin_model_bytes(), count: builtin_model_size())
    }

    private static var draft: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: builtin_draft_bytes(), count: builtin_draft_size())
    }

    /// SHA-256 of the built-in model, made once.
    private static let digest = Hexadecimal.text(SHA256.hash(data: Data(model)))

    /// The draft model that is shipped for the model with this digest, as a file in the cache; nil for all but the
    /// built-in one.
    ///
    /// **Throws:** `StoreError.unwritable`.
    static func draftPath(forDigest digest: String, cacheFolder: String) throws(StoreError) -> String? {
        guard digest == self.digest else { return nil }
        let path = "\(cacheFolder)/builtin/skein-tiny-draft-q8_0.gguf"
        try StoreFiles.write(draft, to: path)
        return path
    }
}
