package import Vocabulary

extension Anthropic {
    /// The body of a request that counts tokens: `{"input_tokens":…}`.
    package static func countBody(_ completion: Completion) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("input_tokens")
        writer.integer(completion.usage.promptTokens)
        writer.endObject()
        return writer.bytes
    }
}
