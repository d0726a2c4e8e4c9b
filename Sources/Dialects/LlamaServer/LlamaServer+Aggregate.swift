package import Vocabulary

extension LlamaServer {
    /// Waits for the end of an inspection and makes its body: `{"tokens":[…]}`, `{"content":…}` or `{"prompt":…}`.
    package struct Aggregate: AnswerAggregate {
        private let route: Call.Route
        private let withPieces: Bool
        private var answer: OutputDelta?
        private var end: GenerationEvent?

        /// Starts without an answer.
        package init(route: Call.Route, withPieces: Bool) {
            self.route = route
            self.withPieces = withPieces
        }

        /// Takes an event in; what comes after a terminal event is ignored.
        package mutating func absorb(_ event: GenerationEvent) {
            guard end == nil else { return }
            // The whole answer is one piece; when a stage is lost behind it, it comes once more.
            if case .output(let delta) = event { answer = delta }
            if event.isTerminal { end = event }
        }

        /// The body, once the answer is known.
        package func outcome() -> AggregateOutcome {
            switch end {
            case .finished:
                guard let answer else {
                    return .failed(
                        .engineFailed(reason: "the node with the entry stage does not know this route; update it"))
                }
                return .complete(body: body(answer))
            case .failed(let error): return .failed(error)
            case .preparing, .queued, .started, .output, nil: return .pending
            }
        }

        private func body(_ answer: OutputDelta) -> [UInt8] {
            var writer = JSONWriter(reserving: answer.text.utf8.count + answer.tokens.count * 8 + 64)
            writer.beginObject()
            switch route {
            case .tokenize:
                writer.key("tokens")
                writer.beginArray()
                for entry in answer.tokens { write(entry, to: &writer) }
                writer.endArray()
            case .detokenize:
                writer.key("content")
                writer.string(answer.text)
            case .applyTemplate:
                writer.key("prompt")
                writer.string(answer.text)
            }
            writer.endObject()
            return writer.bytes
        }

        private func write(_ entry: TokenText, to writer: inout JSONWriter) {
            guard withPieces else { return writer.integer(entry.token) }
            writer.beginObject()
            writer.key("id")
            writer.integer(entry.token)
            writer.key("piece")
            if let piece = String(validating: entry.bytes, as: UTF8.self) {
                writer.string(piece)
            } else {
                writer.beginArray()
                for byte in entry.bytes { writer.integer(byte) }
                writer.endArray()
            }
            writer.endObject()
        }
    }
}
