package import Vocabulary

extension OpenAI {
    /// Turns the events of one request into the event stream of a chat completion.
    ///
    /// The stream is: comments while queued; a role chunk per choice; deltas; a finish chunk per choice; with
    /// `includeUsage` a chunk of token counts (the others then carry `"usage":null`); `data: [DONE]`. A failure is sent
    /// as `data: {"error":…}` and ends the stream without `[DONE]`, so that exactly one terminal event is seen. What
    /// comes after a terminal event is ignored.
    ///
    /// The role chunks are written at `started`: who wants to answer an early failure by an HTTP status MUST hold
    /// the bytes of `started` back until the first `output`.
    /// **Encoding:** every call appends whole server-sent events.
    package struct ChatCompletionEncoder: Sendable {
        private let envelope: Envelope
        private let choiceCount: Int
        private let prefix: [UInt8]
        private let suffix: [UInt8]
        private let includesUsage: Bool
        private var startedChoices: [Bool]
        /// Tool calls begun, by choice.
        private var toolCallCounts: [Int]
        /// Whether a terminal event was written.
        package private(set) var isFinished = false

        /// Starts a stream.
        ///
        /// `created` is in seconds since 1970; `fingerprint` names the build that answers. The caller MUST pass the
        /// request's number of choices, 1 … `Limits.choices`.
        package init(
            id: String, created: Int64, model: String, fingerprint: String? = nil, choiceCount: Int = 1,
            includeUsage: Bool = false
        ) {
            precondition((1...Limits.choices).contains(choiceCount), "\(choiceCount) choices")
            envelope = Envelope(id: id, created: created, model: model, fingerprint: fingerprint)
            self.choiceCount = choiceCount
            includesUsage = includeUsage
            startedChoices = Array(repeating: false, count: choiceCount)
            toolCallCounts = Array(repeating: 0, count: choiceCount)
            (prefix, suffix) = Chunks.frame(envelope, object: "chat.completion.chunk", usageIsNull: includeUsage)
        }

        /// Appends what the client sees of an event; nothing for events without a visible side.
        package mutating func encode(_ event: GenerationEvent, into bytes: inout [UInt8]) {
            guard !isFinished else { return }
            switch event {
            case .preparing(let text): ServerSentEvents.appendComment(text, to: &bytes)
            case .queued(let position, let seconds):
                ServerSentEvents.appendQueued(position: position, predictedWaitSeconds: seconds, to: &bytes)
            case .started:
                for choice in 0..<choiceCount { start(choice, into: &bytes) }
            case .output(let delta):
                encode(delta, into: &bytes)
            case .finished(let completion):
                finish(completion, into: &bytes)
            case .failed(let error):
                isFinished = true
                ServerSentEvents.appendData(errorBody(ErrorReport(error)), to: &bytes)
            }
        }

        /// Appends the comment that keeps a silent connection open.
        package func keepAlive(into bytes: inout [UInt8]) { ServerSentEvents.appendKeepAlive(to: &bytes) }

        private mutating func start(_ choice: Int, into bytes: inout [UInt8]) {
            precondition(choice < choiceCount, "choice \(choice) of \(choiceCount)")
            guard !startedChoices[choice] else { return }
            startedChoices[choice] = true
            bytes.append(contentsOf: prefix)
            Chunks.open(choice, to: &bytes)
            bytes.append(contentsOf: #""delta":{"role":"assistant","content":"","refusal":null}"#.utf8)
            bytes.append(contentsOf: #","logprobs":null,"finish_reason":null}"#.utf8)
            bytes.append(contentsOf: suffix)
        }

        private mutating func encode(_ delta: OutputDelta, into bytes: inout [UInt8]) {
            guard !delta.isEmpty else { return }
            start(delta.choice, into: &bytes)
            bytes.append(contentsOf: prefix)
            Chunks.open(delta.choice, to: &bytes)
            bytes.append(contentsOf: #""delta":{"#.utf8)
            var needsComma = false
            if !delta.reasoning.isEmpty {
                bytes.append(contentsOf: #""reasoning_content":"#.utf8)
                JSONWriter.append(delta.reasoning, to: &bytes)
                needsComma = true
            }
            if !delta.text.isEmpty {
                bytes.append(contentsOf: (needsComma ? #","content":"# : #""content":"#).utf8)
                JSONWriter.append(delta.text, to: &bytes)
                needsComma = true
            }
            if !delta.toolCalls.isEmpty {
                if needsComma { bytes.append(UInt8(ascii: ",")) }
                appendToolCalls(delta, to: &bytes)
            }
            bytes.append(contentsOf: "},".utf8)
            Chunks.appendLogprobs(delta.logprobs, to: &bytes)
            bytes.append(contentsOf: #","finish_reason":null}"#.utf8)
            bytes.append(contentsOf: suffix)
        }

        private mutating func appendToolCalls(_ delta: OutputDelta, to bytes: inout [UInt8]) {
            var writer = JSONWriter()
            writer.beginArray()
            for call in delta.toolCalls {
                writer.beginObject()
                writer.key("index")
                writer.integer(call.index)
                let isFirst = call.index >= toolCallCounts[delta.choice]
                if isFirst {
                    toolCallCounts[delta.choice] = call.index + 1
                    writer.key("id")
                    writer.string(call.id ?? envelope.toolCallID(choice: delta.choice, index: call.index))
                    writer.key("type")
                    writer.string("function")
                }
                writer.key("function")
                writer.beginObject()
                if isFirst {
                    writer.key("name")
                    writer.string(call.name ?? "")
                }
                writer.key("arguments")
                writer.string(call.arguments)
                writer.endObject()
                writer.endObject()
            }
            writer.endArray()
            bytes.append(contentsOf: #""tool_calls":"#.utf8)
            bytes.append(contentsOf: writer.bytes)
        }

        private mutating func finish(_ completion: Vocabulary.Completion, into bytes: inout [UInt8]) {
            isFinished = true
            for choice in 0..<choiceCount {
                start(choice, into: &bytes)
                bytes.append(contentsOf: prefix)
                Chunks.open(choice, to: &bytes)
                bytes.append(contentsOf: #""delta":{},"logprobs":null,"finish_reason":"#.utf8)
                JSONWriter.append(name(of: completion.finishReason(of: choice)), to: &bytes)
                bytes.append(UInt8(ascii: "}"))
                if choice == choiceCount - 1, !includesUsage {
                    Chunks.close(with: completion.timings, usage: completion.usage, to: &bytes)
                } else {
                    bytes.append(contentsOf: suffix)
                }
            }
            if includesUsage { Chunks.appendUsage(prefix: prefix, completion, to: &bytes) }
            Chunks.appendDone(to: &bytes)
        }
    }
}

extension Vocabulary.Completion {
    /// Why a choice ended; an ending the serving side did not name counts as `stop`.
    func finishReason(of choice: Int) -> FinishReason {
        finishReasons.indices.contains(choice) ? finishReasons[choice] : .stop
    }
}
