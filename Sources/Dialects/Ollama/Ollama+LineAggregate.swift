package import Vocabulary

extension Ollama {
    /// Gathers the events of one request into one object; it agrees with `LineEncoder`.
    ///
    /// At most `Limits.answerBytes` are kept; a larger answer fails.
    package struct LineAggregate: Sendable {
        private let lines: AnswerLines
        private var piece = AnswerLines.Piece()
        private var calls = GrowingCalls()
        private var end: GenerationEvent?

        /// Starts an empty answer; see `LineEncoder.init`.
        package init(route: Route, model: String, requestID: String) {
            lines = AnswerLines(route: route, model: model, requestID: requestID)
        }

        /// Takes an event in; what comes after a terminal event is ignored.
        package mutating func absorb(_ event: GenerationEvent) {
            guard end == nil else { return }
            if event.isTerminal { end = event }
            guard case .output(let delta) = event else { return }
            piece.text += delta.text
            piece.thinking += delta.reasoning
            for call in delta.toolCalls { calls.add(call, answer: lines.requestID) }
            if !delta.logprobs.isEmpty {
                if !piece.logprobs.isEmpty { piece.logprobs.append(UInt8(ascii: ",")) }
                OpenAI.Logprobs.appendEntries(delta.logprobs, to: &piece.logprobs)
            }
            let size = piece.text.utf8.count + piece.thinking.utf8.count + piece.logprobs.count + calls.size
            if size > Limits.answerBytes || calls.count > Limits.answerToolCalls { end = .failed(.answerTooLarge) }
        }

        /// The body, once the answer is complete; `moment` is when it became so.
        package func outcome(at moment: Moment) -> AggregateOutcome {
            switch end {
            case .finished(let completion):
                var whole = piece
                let (made, text) = calls.whole()
                whole.calls = made
                whole.text += text
                var bytes: [UInt8] = []
                let ending = AnswerLines.Ending(
                    reason: AnswerLines.reason(of: completion), completion: completion,
                    elapsedNanoseconds: moment.elapsedNanoseconds)
                lines.append(whole, at: moment.timestamp, ending: ending, to: &bytes)
                return .complete(body: bytes)
            case .failed(let error): return .failed(error)
            case .preparing, .queued, .started, .output, nil: return .pending
            }
        }
    }
}
