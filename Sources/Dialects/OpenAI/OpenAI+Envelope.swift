import Vocabulary

extension OpenAI {
    /// What every object and chunk of one answer repeats.
    struct Envelope: Sendable {
        let id: String
        let created: Int64
        let model: String
        /// The vendor's schema allows text only, so without one the member is left out.
        let fingerprint: String?

        func write(object: String, to writer: inout JSONWriter) {
            writer.key("id")
            writer.string(id)
            writer.key("object")
            writer.string(object)
            writer.key("created")
            writer.integer(created)
            writer.key("model")
            writer.string(model)
            guard let fingerprint else { return }
            writer.key("system_fingerprint")
            writer.string(fingerprint)
        }

        /// The identity of a tool call the serving side gave none: stable within the answer.
        func toolCallID(choice: Int, index: Int) -> String { "call_\(id)_\(choice)_\(index)" }
    }

    /// The members `usage` and `timings` at the end of an answer.
    static func write(_ completion: Vocabulary.Completion, to writer: inout JSONWriter) {
        write(completion.usage, to: &writer)
        write(completion.timings, usage: completion.usage, to: &writer)
    }

    static func write(_ usage: Usage, to writer: inout JSONWriter) {
        writer.key("usage")
        writer.beginObject()
        writer.key("prompt_tokens")
        writer.integer(usage.promptTokens)
        writer.key("completion_tokens")
        writer.integer(usage.outputTokens)
        writer.key("total_tokens")
        writer.integer(usage.promptTokens + usage.outputTokens)
        writer.key("prompt_tokens_details")
        writer.beginObject()
        writer.key("cached_tokens")
        writer.integer(usage.cachedTokens)
        writer.key("audio_tokens")
        writer.integer(0)
        writer.endObject()
        writer.key("completion_tokens_details")
        writer.beginObject()
        writer.key("reasoning_tokens")
        writer.integer(usage.reasoningTokens)
        for name in ["audio_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens"] {
            writer.key(name)
            writer.integer(0)
        }
        writer.endObject()
        writer.endObject()
    }

    /// llama.cpp's `timings`, plus the time in the queue. Rates without a time to divide by are 0.
    static func write(_ timings: Timings, usage: Usage, to writer: inout JSONWriter) {
        let evaluated = usage.promptTokens - usage.cachedTokens
        writer.key("timings")
        writer.beginObject()
        writer.key("queue_ms")
        writer.double(milliseconds(timings.queueSeconds))
        writer.key("cache_n")
        writer.integer(usage.cachedTokens)
        write("prompt", tokens: evaluated, seconds: timings.prefillSeconds, to: &writer)
        write("predicted", tokens: usage.outputTokens, seconds: timings.decodeSeconds, to: &writer)
        writer.endObject()
    }

    private static func write(_ phase: String, tokens: Int, seconds: Double, to writer: inout JSONWriter) {
        writer.key(phase + "_n")
        writer.integer(tokens)
        writer.key(phase + "_ms")
        writer.double(milliseconds(seconds))
        writer.key(phase + "_per_token_ms")
        writer.double(tokens > 0 ? milliseconds(seconds / Double(tokens)) : 0)
        writer.key(phase + "_per_second")
        writer.double(seconds > 0 ? threeDecimals(Double(tokens) / seconds) : 0)
    }

    private static func milliseconds(_ seconds: Double) -> Double { threeDecimals(seconds * 1000) }

    /// The value to three decimals; 0 for what no clock measures. By integers: `rounded()` would need the C library
    /// of mathematics, which nothing else here links.
    private static func threeDecimals(_ value: Double) -> Double {
        value > 0 && value < 1e12 ? Double(Int64(value * 1000 + 0.5)) / 1000 : 0
    }

    static func name(of reason: FinishReason) -> String {
        switch reason {
        case .stop: "stop"
        case .length: "length"
        case .toolCalls: "tool_calls"
        }
    }
}
