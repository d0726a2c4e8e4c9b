package import Vocabulary

extension OpenAI {
    /// Gathers the events of one request into the body of a chat completion.
    ///
    /// It agrees with `ChatCompletionEncoder`: joining the deltas of the stream gives this body. At most
    /// `Limits.answerBytes` are kept; a larger answer fails.
    package struct ChatCompletionAggregate: Sendable {
        private struct ToolCallParts: Sendable {
            let index: Int
            let id: String
            let name: String
            var arguments: [UInt8] = []
        }

        /// The parts of one answer, escaped as they stand in the body.
        private struct Choice: Sendable {
            var text: [UInt8] = []
            var reasoning: [UInt8] = []
            var logprobs: [UInt8] = []
            var toolCalls: [ToolCallParts] = []
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
            if case .output(let delta) = event { absorb(delta) }
        }

        /// The body, once the answer is complete.
        package func outcome() -> AggregateOutcome {
            switch end {
            case .finished(let completion): .complete(body: body(completion))
            case .failed(let error): .failed(error)
            case .preparing, .queued, .started, .output, nil: .pending
            }
        }

        private mutating func absorb(_ delta: OutputDelta) {
            let choice = delta.choice
            precondition(choice < choices.count, "choice \(choice) of \(choices.count)")
            let before = choices[choice].text.count + choices[choice].reasoning.count + choices[choice].logprobs.count
            JSONWriter.appendEscaped(delta.text, to: &choices[choice].text)
            JSONWriter.appendEscaped(delta.reasoning, to: &choices[choice].reasoning)
            if !delta.logprobs.isEmpty {
                if !choices[choice].logprobs.isEmpty { choices[choice].logprobs.append(UInt8(ascii: ",")) }
                Logprobs.appendEntries(delta.logprobs, to: &choices[choice].logprobs)
            }
            let after = choices[choice].text.count + choices[choice].reasoning.count + choices[choice].logprobs.count
            size += after - before
            for call in delta.toolCalls { absorb(call, choice: choice) }
            if size > Limits.answerBytes { end = .failed(.answerTooLarge) }
        }

        private mutating func absorb(_ call: ToolCallDelta, choice: Int) {
            let position: Int
            if let known = choices[choice].toolCalls.lastIndex(where: { $0.index == call.index }) {
                position = known
            } else {
                guard choices[choice].toolCalls.count < Limits.answerToolCalls else {
                    let limit = Limits.answerToolCalls
                    end = .failed(.engineFailed(reason: "the model called more than \(limit) tools in one answer"))
                    return
                }
                position = choices[choice].toolCalls.count
                let id = call.id ?? envelope.toolCallID(choice: choice, index: call.index)
                choices[choice].toolCalls.append(ToolCallParts(index: call.index, id: id, name: call.name ?? ""))
            }
            let before = choices[choice].toolCalls[position].arguments.count
            JSONWriter.appendEscaped(call.arguments, to: &choices[choice].toolCalls[position].arguments)
            size += choices[choice].toolCalls[position].arguments.count - before
        }

        // MARK: Body

        private func body(_ completion: Vocabulary.Completion) -> [UInt8] {
            var writer = JSONWriter(reserving: size + 1024)
            writer.beginObject()
            envelope.write(object: "chat.completion", to: &writer)
            writer.key("choices")
            writer.beginArray()
            for (index, choice) in choices.enumerated() {
                writer.beginObject()
                writer.key("index")
                writer.integer(index)
                write(choice, to: &writer)
                writer.key("finish_reason")
                writer.string(name(of: completion.finishReason(of: index)))
                writer.endObject()
            }
            writer.endArray()
            OpenAI.write(completion, to: &writer)
            writer.endObject()
            return writer.bytes
        }

        private func write(_ choice: Choice, to writer: inout JSONWriter) {
            writer.key("message")
            writer.beginObject()
            writer.key("role")
            writer.string("assistant")
            if !choice.reasoning.isEmpty {
                writer.key("reasoning_content")
                writer.escapedString(choice.reasoning)
            }
            writer.key("content")
            if choice.text.isEmpty, !choice.toolCalls.isEmpty {
                writer.null()
            } else {
                writer.escapedString(choice.text)
            }
            writer.key("refusal")
            writer.null()
            if !choice.toolCalls.isEmpty { write(choice.toolCalls, to: &writer) }
            writer.endObject()
            writer.key("logprobs")
            if choice.logprobs.isEmpty {
                writer.null()
            } else {
                writer.beginObject()
                writer.key("content")
                writer.raw([UInt8(ascii: "[")] + choice.logprobs + [UInt8(ascii: "]")])
                writer.key("refusal")
                writer.null()
                writer.endObject()
            }
        }

        private func write(_ calls: [ToolCallParts], to writer: inout JSONWriter) {
            writer.key("tool_calls")
            writer.beginArray()
            for call in calls.sorted(by: { $0.index < $1.index }) {
                writer.beginObject()
                writer.key("id")
                writer.string(call.id)
                writer.key("type")
                writer.string("function")
                writer.key("function")
                writer.beginObject()
                writer.key("name")
                writer.string(call.name)
                writer.key("arguments")
                writer.escapedString(call.arguments)
                writer.endObject()
                writer.endObject()
            }
            writer.endArray()
        }
    }
}
