package import Vocabulary

extension Ollama {
    /// When something happened: the wall clock, and the time since the request arrived.
    package struct Moment: Hashable, Sendable {
        /// What the wall clock says.
        package var timestamp: Timestamp
        /// Since the request arrived. **Units:** nanoseconds.
        package var elapsedNanoseconds: Int64

        /// Puts the two together.
        package init(timestamp: Timestamp, elapsedNanoseconds: Int64) {
            self.timestamp = timestamp
            self.elapsedNanoseconds = elapsedNanoseconds
        }
    }

    /// The body for a request without a prompt, when the model is up; or, with `keep_alive` 0, unloaded.
    package static func loadedBody(_ request: AnswerRequest, at moment: Moment) -> [UInt8] {
        var bytes: [UInt8] = []
        let lines = AnswerLines(route: request.route, model: request.model, requestID: "")
        lines.append(
            .init(), at: moment.timestamp,
            ending: .init(
                reason: request.intent == .unload ? "unload" : "load", completion: nil, elapsedNanoseconds: 0),
            to: &bytes)
        return bytes
    }

    /// Turns the events of one request into newline-delimited JSON.
    ///
    /// The stream is: an empty piece with `status` for each step of loading the model, and with `queue_position` for
    /// each place in the queue; pieces of text and thinking; one piece with all calls, because a call's arguments are
    /// an object here; the object with `done` true, the token counts and the durations. A failure is sent as
    /// `{"error":…}` and ends the stream. What comes after a terminal event is ignored.
    /// **Encoding:** every call appends whole lines.
    package struct LineEncoder: Sendable {
        private let lines: AnswerLines
        private var calls = GrowingCalls()
        /// Whether a terminal event was written.
        package private(set) var isFinished = false

        /// Starts a stream; `requestID` goes into the ids of calls that have none.
        package init(route: Route, model: String, requestID: String) {
            lines = AnswerLines(route: route, model: model, requestID: requestID)
        }

        /// Appends what the client sees of an event; nothing for events without a visible side.
        package mutating func encode(_ event: GenerationEvent, at moment: Moment, into bytes: inout [UInt8]) {
            guard !isFinished else { return }
            switch event {
            case .preparing(let text):
                lines.append(.init(), at: moment.timestamp, waiting: .preparing(text), to: &bytes)
                bytes.append(UInt8(ascii: "\n"))
            case .queued(let position, _):
                lines.append(.init(), at: moment.timestamp, waiting: .queued(position), to: &bytes)
                bytes.append(UInt8(ascii: "\n"))
            case .started: break
            case .output(let delta): encode(delta, at: moment, into: &bytes)
            case .finished(let completion): finish(completion, at: moment, into: &bytes)
            case .failed(let error):
                isFinished = true
                bytes.append(contentsOf: errorBody(ErrorReport(error, promptField: lines.route.promptField)))
                bytes.append(UInt8(ascii: "\n"))
            }
        }

        /// Appends the line that keeps a silent connection open: an empty piece, because a line is always an object.
        package func keepAlive(at moment: Moment, into bytes: inout [UInt8]) {
            append(.init(), at: moment, to: &bytes)
        }

        private mutating func encode(_ delta: OutputDelta, at moment: Moment, into bytes: inout [UInt8]) {
            precondition(delta.choice == 0, "choice \(delta.choice) of an answer")
            for call in delta.toolCalls { calls.add(call, answer: lines.requestID) }
            var piece = AnswerLines.Piece(text: delta.text, thinking: delta.reasoning)
            OpenAI.Logprobs.appendEntries(delta.logprobs, to: &piece.logprobs)
            guard !piece.text.isEmpty || !piece.thinking.isEmpty || !piece.logprobs.isEmpty else { return }
            append(piece, at: moment, to: &bytes)
        }

        private mutating func finish(_ completion: Completion, at moment: Moment, into bytes: inout [UInt8]) {
            isFinished = true
            let (whole, text) = calls.whole()
            if !whole.isEmpty || !text.isEmpty {
                append(.init(text: text, calls: whole), at: moment, to: &bytes)
            }
            let ending = AnswerLines.Ending(
                reason: AnswerLines.reason(of: completion), completion: completion,
                elapsedNanoseconds: moment.elapsedNanoseconds)
            append(.init(), at: moment, ending: ending, to: &bytes)
        }

        private func append(
            _ piece: AnswerLines.Piece, at moment: Moment, ending: AnswerLines.Ending? = nil, to bytes: inout [UInt8]
        ) {
            lines.append(piece, at: moment.timestamp, ending: ending, to: &bytes)
            bytes.append(UInt8(ascii: "\n"))
        }
    }
}
