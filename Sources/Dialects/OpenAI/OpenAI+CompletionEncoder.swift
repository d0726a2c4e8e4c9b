package import Vocabulary

extension OpenAI {
    /// Turns the events of one request into the event stream of a completion; see `ChatCompletionEncoder`.
    package struct CompletionEncoder: Sendable {
        private let choiceCount: Int
        private let prefix: [UInt8]
        private let suffix: [UInt8]
        private let includesUsage: Bool
        /// Unicode scalars sent, by choice: the offsets of the next tokens.
        private var textLengths: [Int]
        /// Whether a terminal event was written.
        package private(set) var isFinished = false

        /// Starts a stream; see `ChatCompletionEncoder.init`.
        package init(
            id: String, created: Int64, model: String, fingerprint: String? = nil, choiceCount: Int = 1,
            includeUsage: Bool = false
        ) {
            precondition((1...Limits.choices).contains(choiceCount), "\(choiceCount) choices")
            self.choiceCount = choiceCount
            includesUsage = includeUsage
            textLengths = Array(repeating: 0, count: choiceCount)
            let envelope = Envelope(id: id, created: created, model: model, fingerprint: fingerprint)
            (prefix, suffix) = Chunks.frame(envelope, object: "text_completion", usageIsNull: includeUsage)
        }

        /// Appends what the client sees of an event; nothing for events without a visible side.
        package mutating func encode(_ event: GenerationEvent, into bytes: inout [UInt8]) {
            guard !isFinished else { return }
            switch event {
            case .preparing(let text): ServerSentEvents.appendComment(text, to: &bytes)
            case .queued(let position, let seconds):
                ServerSentEvents.appendQueued(position: position, predictedWaitSeconds: seconds, to: &bytes)
            case .started: break
            case .output(let delta): encode(delta, into: &bytes)
            case .finished(let completion): finish(completion, into: &bytes)
            case .failed(let error):
                isFinished = true
                ServerSentEvents.appendData(errorBody(ErrorReport(error, promptField: "prompt")), to: &bytes)
            }
        }

        /// Appends the comment that keeps a silent connection open.
        package func keepAlive(into bytes: inout [UInt8]) { ServerSentEvents.appendKeepAlive(to: &bytes) }

        private mutating func encode(_ delta: OutputDelta, into bytes: inout [UInt8]) {
            precondition(delta.choice < choiceCount, "choice \(delta.choice) of \(choiceCount)")
            let text = completionText(of: delta)
            guard !text.isEmpty || !delta.logprobs.isEmpty else { return }
            bytes.append(contentsOf: prefix)
            Chunks.open(delta.choice, to: &bytes)
            bytes.append(contentsOf: #""text":"#.utf8)
            JSONWriter.append(text, to: &bytes)
            bytes.append(contentsOf: #","logprobs":"#.utf8)
            var logprobs = LegacyLogprobs()
            logprobs.append(delta.logprobs, offset: textLengths[delta.choice])
            logprobs.append(to: &bytes)
            bytes.append(contentsOf: #","finish_reason":null}"#.utf8)
            bytes.append(contentsOf: suffix)
            textLengths[delta.choice] += scalarCount(text.utf8)
        }

        private mutating func finish(_ completion: Vocabulary.Completion, into bytes: inout [UInt8]) {
            isFinished = true
            for choice in 0..<choiceCount {
                bytes.append(contentsOf: prefix)
                Chunks.open(choice, to: &bytes)
                bytes.append(contentsOf: #""text":"","logprobs":null,"finish_reason":"#.utf8)
                JSONWriter.append(completionFinish(completion.finishReason(of: choice)), to: &bytes)
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
