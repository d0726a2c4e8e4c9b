package import Vocabulary

/// Decides before queueing whether a request can ever be served, with the numbers when it cannot.
package struct RequestCheck: Sendable {
    let window: Int
    let cellCount: Int
    let laneCount: Int
    let vocabularySize: Int

    /// Makes a check for a placement of this size.
    package init(window: Int, cellCount: Int, laneCount: Int, vocabularySize: Int) {
        self.window = window
        self.cellCount = cellCount
        self.laneCount = laneCount
        self.vocabularySize = vocabularySize
    }

    /// Tokens each choice can have at most: prompt and answer fit the window, and all choices together, which share
    /// all of the prompt but its last token, fit the KV cells.
    package func outputRoom(promptCount: Int, choiceCount: Int) -> Int {
        let (shared, overflows) = cellCount.subtractingReportingOverflow(promptCount - 1)
        return min(window - promptCount, overflows ? 0 : shared / max(1, choiceCount))
    }

    /// Why the request is refused; nil when it can be served.
    package func refusal(of request: GenerationRequest, _ prepared: PreparedPrompt) -> GenerationError? {
        sizeRefusal(request, prepared) ?? stopRefusal(request.stop + prepared.stop)
            ?? stopTokenRefusal(request.stopTokens ?? [])
            ?? SamplingCheck.refusal(of: request.sampling, vocabularySize: vocabularySize)
            ?? thinkingRefusal(prepared) ?? featureRefusal(request) ?? journalRefusal(request)
            ?? timeRefusal(request)
    }

    /// Clients' times were looked at where they came in; these are another node's words.
    private func timeRefusal(_ request: GenerationRequest) -> GenerationError? {
        for (name, value) in [("timeout", request.timeoutSeconds), ("elapsed time", request.elapsedSeconds)] {
            guard let value, !(0...Limits.longestSeconds).contains(value) else { continue }
            return .invalidField(
                name: name, value: "\(value) s", limit: "it must be 0 to \(Int(Limits.longestSeconds)) seconds")
        }
        return nil
    }

    private func journalRefusal(_ request: GenerationRequest) -> GenerationError? {
        guard !request.answered.isEmpty else { return nil }
        guard request.answered.count == request.choiceCount else {
            return .invalidField(
                name: "answered", value: "\(request.answered.count) choices",
                limit: "the request asks for \(request.choiceCount)")
        }
        for token in request.answered.joined() where !(0..<vocabularySize).contains(Int(token)) {
            return .invalidField(name: "answered", value: "\(token)", limit: "token ids are 0 to \(vocabularySize - 1)")
        }
        return nil
    }

    private func sizeRefusal(_ request: GenerationRequest, _ prepared: PreparedPrompt) -> GenerationError? {
        let count = request.choiceCount
        guard (1...laneCount).contains(count) else {
            return .invalidField(
                name: "n", value: "\(count)", limit: "this placement answers 1 to \(laneCount) choices at once")
        }
        if let tokens = request.maxOutputTokens, tokens < 1 {
            return .invalidField(name: "max_tokens", value: "\(tokens)", limit: "it must be at least 1")
        }
        guard !prepared.tokens.isEmpty else {
            return .invalidField(name: "prompt", value: "empty", limit: "it must have at least 1 token")
        }
        // A vector needs no room behind its text.
        let fits =
            prepared.pooling == nil
            ? outputRoom(promptCount: prepared.tokens.count, choiceCount: count) >= 1
            : prepared.tokens.count <= min(window, cellCount)
        guard fits else {
            return .contextLengthExceeded(
                promptTokens: prepared.tokens.count, outputTokens: request.maxOutputTokens ?? 0, window: window)
        }
        for (index, token) in prepared.tokens.enumerated() where !(0..<vocabularySize).contains(Int(token)) {
            if token < 0, prepared.images.row(at: index) != nil { continue }
            return .invalidField(
                name: "prompt[\(index)]", value: "\(token)", limit: "token ids are 0 to \(vocabularySize - 1)")
        }
        return nil
    }

    private func thinkingRefusal(_ prepared: PreparedPrompt) -> GenerationError? {
        guard let thinking = prepared.thinking, let budget = thinking.budget else { return nil }
        guard budget >= 0 else {
            return .invalidField(name: "reasoning_budget_tokens", value: "\(budget)", limit: "it must be at least 0")
        }
        guard Self.travels(thinking) else {
            return .unsupported(
                feature: "A budget for this model's way of thinking", remedy: "leave it out and bound the whole answer")
        }
        return nil
    }

    /// What the last stage has to know of the answer's thinking: where it ends when it is bounded, and where a grammar
    /// that waits for its trigger has to sleep.
    func laneThinking(of prepared: PreparedPrompt) -> LaneThinking? {
        guard let thinking = prepared.thinking else { return nil }
        let isFollowed = thinking.budget != nil || prepared.grammar?.triggers != nil
        return isFollowed && Self.travels(thinking) ? thinking : nil
    }

    /// Whether a description of thinking has a size that stages take.
    private static func travels(_ thinking: LaneThinking) -> Bool {
        thinking.start.utf8.count <= Limits.thinkingMarkBytes
            && (1...Limits.thinkingEnds).contains(thinking.ends.count)
            && thinking.ends.allSatisfy { (1...Limits.thinkingMarkBytes).contains($0.utf8.count) }
            && thinking.closings.count == thinking.ends[0].utf8.count
            && thinking.closings.allSatisfy { (1...Limits.thinkingMarkBytes).contains($0.count) }
    }

    private func stopRefusal(_ stops: [String]) -> GenerationError? {
        guard stops.count <= Limits.stopTexts else {
            return .invalidField(
                name: "stop", value: "\(stops.count) texts", limit: "at most \(Limits.stopTexts) are allowed")
        }
        for (index, stop) in stops.enumerated() {
            let size = stop.utf8.count
            guard size >= 1, size <= Limits.stopTextBytes else {
                return .invalidField(
                    name: "stop[\(index)]", value: "\(size) bytes", limit: "1 to \(Limits.stopTextBytes) are allowed")
            }
        }
        return nil
    }

    private func stopTokenRefusal(_ tokens: [Token]) -> GenerationError? {
        guard tokens.count <= Limits.stopTokens else {
            return .invalidField(
                name: "stop_token_ids", value: "\(tokens.count) tokens",
                limit: "at most \(Limits.stopTokens) are allowed")
        }
        for token in tokens where !(0..<vocabularySize).contains(Int(token)) {
            return .invalidField(
                name: "stop_token_ids", value: "token \(token)", limit: "token ids are 0 to \(vocabularySize - 1)")
        }
        return nil
    }

    private func featureRefusal(_ request: GenerationRequest) -> GenerationError? {
        guard let top = request.topLogprobs else { return nil }
        guard (0...Limits.alternatives).contains(top) else {
            return .invalidField(
                name: "top_logprobs", value: "\(top)", limit: "0 to \(Limits.alternatives) are allowed")
        }
        guard !request.echo else {
            return .unsupported(feature: "Log-probabilities of an echoed prompt", remedy: "leave out echo or logprobs")
        }
        return nil
    }
}
