package import Vocabulary

extension OpenAI {
    /// Gathers the events of one request into the body of a completion; see `ChatCompletionAggregate`.
    package struct CompletionAggregate: Sendable {
        private struct Choice: Sendable {
            var text: [UInt8] = []
            var logprobs = LegacyLogprobs()
            /// Unicode scalars so far: the offset of the next token.
            var textLength = 0
            var size: Int { text.count + logprobs.size }
        }

        private let envelope: Envelope
        private var choices: [Choice]
        private var size = 0
        private var end: GenerationEvent?

        /// Starts an empty answer; see `ChatCompletionEncoder.init`.
        package init(id: String, created: Int64, model: String, fingerprint: String? = nil, choiceCount: Int = 1) {
            precondition((1...Limits.choices).contains(choiceCount), "\(choiceCount) choices")
            envelope = Envelope(id: id, created: created, model: model, fingerprint: fingerprint)
            choices = Array(repeating: Choice(), count: choiceCount)
        }

        /// Takes an event in; what comes after a terminal event is ignored.
        package mutating func absorb(_ event: GenerationEvent) {
            guard end == nil else { return }
            if event.isTerminal { end = event }
            guard case .output(let delta) = event else { return }
            precondition(delta.choice < choices.count, "choice \(delta.choice) of \(choices.count)")
            let before = choices[delta.choice].size
            let text = completionText(of: delta)
            JSONWriter.appendEscaped(text, to: &choices[delta.choice].text)
            choices[delta.choice].logprobs.append(delta.logprobs, offset: choices[delta.choice].textLength)
            choices[delta.choice].textLength += scalarCount(text.utf8)
            size += choices[delta.choice].size - before
            if size > Limits.answerBytes { end = .failed(.answerTooLarge) }
        }

        /// The body, once the answer is complete.
        package func outcome() -> AggregateOutcome {
            switch end {
            case .finished(let completion): .complete(body: body(completion))
            case .failed(let error): .failed(error)
            case .preparing, .queued, .started, .output, nil: .pending
            }
        }

        private func body(_ completion: Vocabulary.Completion) -> [UInt8] {
            var writer = JSONWriter(reserving: size + 1024)
            writer.beginObject()
            envelope.write(object: "text_completion", to: &writer)
            writer.key("choices")
            writer.beginArray()
            for (index, choice) in choices.enumerated() {
                writer.beginObject()
                writer.key("index")
                writer.integer(index)
                writer.key("text")
                writer.escapedString(choice.text)
                writer.key("logprobs")
                var logprobs: [UInt8] = []
                choice.logprobs.append(to: &logprobs)
                writer.raw(logprobs)
                writer.key("finish_reason")
                writer.string(completionFinish(completion.finishReason(of: index)))
                writer.endObject()
            }
            writer.endArray()
            OpenAI.write(completion, to: &writer)
            writer.endObject()
            return writer.bytes
        }
    }
}
