import GGUF
package import Vocabulary

/// How the cache of a model can be stored.
package struct CacheStores: Sendable, Hashable {
    /// What it is stored in where nobody says: q8_0, which takes half of what f16 does, where the model allows it.
    /// docs/decisions/0031-q8_0-for-keys-and-values.md has the figures.
    package let standard: CacheFormat
    private let keySizes: Set<UInt64>
    private let valueSizes: Set<UInt64>
    /// Latent attention keeps one row for keys and values.
    private let isUniform: Bool
    /// Values in blocks need it; the library computes none for Grok.
    private let hasFlashAttention: Bool

    init(_ rules: CacheRules, architecture: String) {
        let sizes = [false, true].map(rules.headSizes(isWindowed:))
        keySizes = Set(sizes.map(\.key))
        valueSizes = Set(sizes.map(\.value))
        isUniform = rules.isLatent || architecture == "deepseek4"
        hasFlashAttention = architecture != "grok"
        let isFilled = keySizes.union(valueSizes).allSatisfy { $0 > 0 && CacheFormat.q8_0.isFilled(by: $0) }
        standard = isFilled && hasFlashAttention ? .q8_0 : .f16
    }

    /// What keys and values are stored in, as asked or as the model allows it.
    package func chosen(keys: CacheFormat?, values: CacheFormat?) -> (keys: CacheFormat, values: CacheFormat) {
        isUniform
            ? (keys ?? values ?? standard, values ?? keys ?? standard)
            : (keys ?? standard, values ?? standard)
    }

    /// A setting that a model does not allow.
    package struct Obstacle: Sendable, Hashable {
        /// The option's name.
        package var field: String
        /// What was asked for.
        package var value: String
        /// What is possible.
        package var limit: String
    }

    /// Why they cannot be stored so; nil when they can.
    package func obstacle(keys: CacheFormat, values: CacheFormat) -> Obstacle? {
        func unfilled(_ sizes: Set<UInt64>, _ format: CacheFormat) -> String? {
            guard let size = sizes.sorted().first(where: { !format.isFilled(by: $0) }) else { return nil }
            return "this model has heads of \(size), which do not fill blocks of "
                + "\(format.tensorType.blockElementCount); use f16"
        }
        if let limit = unfilled(keySizes, keys) {
            return Obstacle(field: "cache-type-k", value: keys.rawValue, limit: limit)
        }
        if let limit = unfilled(valueSizes, values) {
            return Obstacle(field: "cache-type-v", value: values.rawValue, limit: limit)
        }
        if values.isQuantized, !hasFlashAttention {
            return Obstacle(
                field: "cache-type-v", value: values.rawValue,
                limit: "the engine has no flash attention for this model, which values in blocks need; use f16")
        }
        guard isUniform, keys != values else { return nil }
        return Obstacle(
            field: "cache-type-v", value: values.rawValue,
            limit: "this model keeps one row for keys and values; use \(keys.rawValue) for both")
    }
}
