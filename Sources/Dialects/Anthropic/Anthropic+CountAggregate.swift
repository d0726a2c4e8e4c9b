package import Vocabulary

extension Anthropic {
    /// Waits for the end of a request that generates nothing: the body is `{"input_tokens":…}`.
    package struct CountAggregate: AnswerAggregate {
        private var end: GenerationEvent?

        /// Starts without a count.
        package init() {}

        /// Takes an event in; what comes after a terminal event is ignored.
        package mutating func absorb(_ event: GenerationEvent) {
            if end == nil, event.isTerminal { end = event }
        }

        /// The body, once the count is known.
        package func outcome() -> AggregateOutcome {
            switch end {
            case .finished(let completion): .complete(body: Self.body(inputTokens: completion.usage.promptTokens))
            case .failed(let error): .failed(error)
            case .preparing, .queued, .started, .output, nil: .pending
            }
        }

        private static func body(inputTokens: Int) -> [UInt8] {
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("input_tokens")
            writer.integer(inputTokens)
            writer.endObject()
            return writer.bytes
        }
    }
}
