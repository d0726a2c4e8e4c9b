package import Vocabulary

extension Anthropic {
    /// Gathers the events of one request into the body of a message.
    ///
    /// It agrees with `MessageEncoder`: joining the deltas of the stream gives this body, but for calls whose arguments
    /// are no JSON object. A body has no place for those: they become text. At most `Limits.answerBytes` are kept.
    package struct MessageAggregate: AnswerAggregate {
        private struct Content: Sendable {
            var text = ""
            var id = ""
            var name = ""
        }

        private let envelope: Envelope
        private let omitsThinking: Bool
        private var blocks = AnswerBlocks()
        private var contents: [Content] = []
        private var size = 0
        private var end: GenerationEvent?

        /// Starts an empty answer; see `MessageEncoder.init`.
        package init(id: String, model: String, stopSequences: [String] = [], omitsThinking: Bool = false) {
            envelope = Envelope(id: id, model: model, stopSequences: stopSequences)
            self.omitsThinking = omitsThinking
        }

        /// Takes an event in; what comes after a terminal event is ignored.
        package mutating func absorb(_ event: GenerationEvent) {
            guard end == nil else { return }
            if event.isTerminal { end = event }
            guard case .output(let delta) = event else { return }
            if !delta.reasoning.isEmpty { add(omitsThinking ? "" : delta.reasoning, to: .thinking) }
            if !delta.text.isEmpty { add(delta.text, to: .text) }
            for call in delta.toolCalls {
                let index = add(call.arguments, to: .tool(call.index))
                guard contents[index].id.isEmpty else { continue }
                contents[index].id = call.id ?? envelope.toolID(call.index)
                contents[index].name = call.name ?? ""
            }
            if size > Limits.answerBytes { end = .failed(.answerTooLarge) }
            if contents.count > Limits.answerToolCalls {
                let limit = Limits.answerToolCalls
                end = .failed(.engineFailed(reason: "the model's answer has more than \(limit) blocks"))
            }
        }

        /// The body, once the answer is complete.
        package func outcome() -> AggregateOutcome {
            switch end {
            case .finished(let completion): .complete(body: body(completion))
            case .failed(let error): .failed(error)
            case .preparing, .queued, .started, .output, nil: .pending
            }
        }

        @discardableResult
        private mutating func add(_ text: String, to kind: AnswerBlocks.Kind) -> Int {
            let (index, isNew) = blocks.place(kind)
            if isNew { contents.append(Content()) }
            contents[index].text += text
            size += text.utf8.count
            return index
        }

        private func body(_ completion: Completion) -> [UInt8] {
            var writer = JSONWriter(reserving: size + 1024)
            var hasCalls = false
            writer.beginObject()
            envelope.open(&writer)
            writer.key("content")
            writer.beginArray()
            for (kind, content) in zip(blocks.kinds, contents) {
                switch kind {
                case .thinking: Self.write(["type": "thinking", "thinking": content.text], to: &writer)
                case .text: Self.write(["type": "text", "text": content.text], to: &writer)
                case .tool:
                    guard let input = ToolArguments.object(content.text) else {
                        Self.write(["type": "text", "text": "\(content.name)(\(content.text))"], to: &writer)
                        continue
                    }
                    hasCalls = true
                    Self.write(["type": "tool_use", "id": content.id, "name": content.name], input, to: &writer)
                }
            }
            writer.endArray()
            envelope.writeStop(completion, hasCalls: hasCalls, to: &writer)
            let usage = completion.usage
            writeUsage(prompt: usage.promptTokens, cached: usage.cachedTokens, output: usage, to: &writer)
            writer.endObject()
            return writer.bytes
        }

        private static func write(
            _ members: KeyValuePairs<String, String>, _ input: JSONNode? = nil, to writer: inout JSONWriter
        ) {
            writer.beginObject()
            for (key, value) in members {
                writer.key(key)
                writer.string(value)
                if value == "thinking", key == "type" {
                    writer.key("signature")
                    writer.string(Envelope.signature)
                }
            }
            if let input {
                writer.key("input")
                writer.node(input)
            }
            writer.endObject()
        }
    }
}
