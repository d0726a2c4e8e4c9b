package import Vocabulary

extension Anthropic {
    /// Turns the events of one request into the event stream of a message.
    ///
    /// The stream is: comments while queued; `message_start` and `ping`; each content block as `content_block_start`,
    /// deltas and `content_block_stop`; `message_delta` with the stop reason and the token counts; `message_stop`. A
    /// failure is sent as `error` and ends the stream. What comes after a terminal event is ignored.
    ///
    /// A block is stopped when the next one starts. Should the serving side still correct the arguments of an earlier
    /// call, its delta names the earlier block, so that nothing is lost for clients that go by the index.
    /// `message_start` is written at `started`: who wants to answer an early failure by an HTTP status MUST hold the
    /// bytes of `started` back until the first `output`.
    /// **Encoding:** every call appends whole server-sent events.
    package struct MessageEncoder: AnswerEncoder {
        private let envelope: Envelope
        private let omitsThinking: Bool
        private let requestID: String
        private var blocks = AnswerBlocks()
        private var isStarted = false
        /// Whether a terminal event was written.
        package private(set) var isFinished = false

        /// Starts a stream; `stopSequences` are the client's own, `requestID` is repeated in an error.
        package init(
            id: String, model: String, stopSequences: [String] = [], omitsThinking: Bool = false, requestID: String
        ) {
            envelope = Envelope(id: id, model: model, stopSequences: stopSequences)
            self.omitsThinking = omitsThinking
            self.requestID = requestID
        }

        /// Appends what the client sees of an event; nothing for events without a visible side.
        package mutating func encode(_ event: GenerationEvent, into bytes: inout [UInt8]) {
            guard !isFinished else { return }
            switch event {
            case .preparing(let text): ServerSentEvents.appendComment(text, to: &bytes)
            case .queued(let position, let seconds):
                ServerSentEvents.appendQueued(position: position, predictedWaitSeconds: seconds, to: &bytes)
            case .started(let prompt, let cached): start(prompt: prompt, cached: cached, into: &bytes)
            case .output(let delta): encode(delta, into: &bytes)
            case .finished(let completion): finish(completion, into: &bytes)
            case .failed(let error):
                isFinished = true
                let body = errorBody(ErrorReport(error), requestID: requestID)
                ServerSentEvents.appendEvent(named: "error", data: body, to: &bytes)
            }
        }

        /// Appends the event that keeps a silent connection open.
        package func keepAlive(into bytes: inout [UInt8]) {
            ServerSentEvents.appendEvent(named: "ping", data: Array(#"{"type":"ping"}"#.utf8), to: &bytes)
        }

        private mutating func start(prompt: Int, cached: Int, into bytes: inout [UInt8]) {
            guard !isStarted else { return }
            isStarted = true
            Self.append("message_start", to: &bytes) { writer in
                writer.key("message")
                writer.beginObject()
                envelope.open(&writer)
                writer.key("content")
                writer.beginArray()
                writer.endArray()
                writer.key("stop_reason")
                writer.null()
                writer.key("stop_sequence")
                writer.null()
                writeUsage(prompt: prompt, cached: cached, output: nil, to: &writer)
                writer.endObject()
            }
            keepAlive(into: &bytes)
        }

        private mutating func encode(_ delta: OutputDelta, into bytes: inout [UInt8]) {
            precondition(delta.choice == 0, "choice \(delta.choice) of a message")
            guard !delta.reasoning.isEmpty || !delta.text.isEmpty || !delta.toolCalls.isEmpty else { return }
            start(prompt: 0, cached: 0, into: &bytes)
            if !delta.reasoning.isEmpty {
                let index = open(.thinking, into: &bytes)
                if !omitsThinking {
                    Self.appendDelta(index, #""thinking_delta","thinking":"#, delta.reasoning, to: &bytes)
                }
            }
            if !delta.text.isEmpty {
                let index = open(.text, into: &bytes)
                Self.appendDelta(index, #""text_delta","text":"#, delta.text, to: &bytes)
            }
            for call in delta.toolCalls {
                let index = open(.tool(call.index), call, into: &bytes)
                guard !call.arguments.isEmpty else { continue }
                Self.appendDelta(index, #""input_json_delta","partial_json":"#, call.arguments, to: &bytes)
            }
        }

        /// A block as it starts: without content.
        private func block(_ kind: AnswerBlocks.Kind, _ call: ToolCallDelta?) -> String {
            guard let call else {
                return kind == .text
                    ? #"{"type":"text","text":""}"# : #"{"type":"thinking","thinking":"","signature":""}"#
            }
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("type")
            writer.string("tool_use")
            writer.key("id")
            writer.string(call.id ?? envelope.toolID(call.index))
            writer.key("name")
            writer.string(call.name ?? "")
            writer.key("input")
            writer.beginObject()
            writer.endObject()
            writer.endObject()
            return writer.text
        }

        /// The block for a piece, started when it is new; the one before is then stopped.
        private mutating func open(
            _ kind: AnswerBlocks.Kind, _ call: ToolCallDelta? = nil, into bytes: inout [UInt8]
        ) -> Int {
            let before = blocks
            let (index, isNew) = blocks.place(kind)
            guard isNew else { return index }
            stop(before, into: &bytes)
            Self.append("content_block_start", to: &bytes) { writer in
                writer.key("index")
                writer.integer(index)
                writer.key("content_block")
                writer.raw(block(kind, call))
            }
            return index
        }

        private func stop(_ blocks: AnswerBlocks, into bytes: inout [UInt8]) {
            guard let (index, kind) = blocks.last else { return }
            if kind == .thinking {
                Self.appendDelta(index, #""signature_delta","signature":"#, Envelope.signature, to: &bytes)
            }
            Self.append("content_block_stop", to: &bytes) { writer in
                writer.key("index")
                writer.integer(index)
            }
        }

        private mutating func finish(_ completion: Completion, into bytes: inout [UInt8]) {
            isFinished = true
            let usage = completion.usage
            start(prompt: usage.promptTokens, cached: usage.cachedTokens, into: &bytes)
            stop(blocks, into: &bytes)
            Self.append("message_delta", to: &bytes) { writer in
                writer.key("delta")
                writer.beginObject()
                envelope.writeStop(completion, hasCalls: blocks.hasCalls, to: &writer)
                writer.endObject()
                writeUsage(prompt: usage.promptTokens, cached: usage.cachedTokens, output: usage, to: &writer)
            }
            Self.append("message_stop", to: &bytes) { _ in }
        }

        // MARK: Bytes

        private static func append(_ name: String, to bytes: inout [UInt8], _ members: (inout JSONWriter) -> Void) {
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("type")
            writer.string(name)
            members(&writer)
            writer.endObject()
            ServerSentEvents.appendEvent(named: name, data: writer.bytes, to: &bytes)
        }

        /// A token costs this: three copies and the escaping of its text.
        private static func appendDelta(_ index: Int, _ kind: String, _ text: String, to bytes: inout [UInt8]) {
            bytes.append(contentsOf: "event: content_block_delta\ndata: ".utf8)
            bytes.append(contentsOf: #"{"type":"content_block_delta","index":"#.utf8)
            JSONWriter.append(index, to: &bytes)
            bytes.append(contentsOf: #","delta":{"type":"#.utf8)
            bytes.append(contentsOf: kind.utf8)
            JSONWriter.append(text, to: &bytes)
            bytes.append(contentsOf: "}}\n\n".utf8)
        }
    }
}
