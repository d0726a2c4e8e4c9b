import Vocabulary

@testable import Serving

/// Holds every event of a request against what the model alone answers: tokens gapless and in order, piece by piece,
/// and an end that is the answer's own or has its reason in what happened.
struct AnswerWatch {
    private let expected: Undisturbed
    private var cachedTokens = 0
    /// Tokens and pieces told so far, by choice.
    private var told: [(tokens: Int, pieces: Int)]

    init(_ expected: Undisturbed) {
        self.expected = expected
        told = Array(repeating: (0, 0), count: expected.choices.count)
    }

    /// What is wrong with the next event of the request; nil when nothing is.
    mutating func problem(
        with event: GenerationEvent, of id: RequestID, after mishaps: LocalPipeline.Mishaps
    ) -> String? {
        if let refusal = expected.refusal {
            return event == .failed(refusal) ? nil : "\(event) in place of a refusal: \(refusal)"
        }
        switch event {
        case .preparing, .queued: return nil
        case .started(let promptTokens, let cached):
            cachedTokens = cached
            let most = max(0, expected.promptTokens - Limits.rowsComputedAnew)
            return promptTokens == expected.promptTokens && (0...most).contains(cached)
                ? nil : "\(cached) of \(promptTokens) tokens are cached, of a prompt of \(expected.promptTokens)"
        case .output(let piece): return problem(with: piece)
        case .finished(let completion): return problem(with: completion)
        case .failed(let error):
            return mishaps.explain(error, of: id) ? nil : "nothing happened that would explain its end: \(error)"
        }
    }

    private mutating func problem(with piece: OutputDelta) -> String? {
        guard expected.choices.indices.contains(piece.choice) else { return "there is no choice \(piece.choice)" }
        let choice = expected.choices[piece.choice]
        let (tokens, pieces) = told[piece.choice]
        guard choice.tokens.dropFirst(tokens).starts(with: piece.journal) else {
            return "choice \(piece.choice) tells \(piece.journal) behind \(tokens) tokens of \(choice.tokens)"
        }
        let next = choice.pieces.dropFirst(pieces).first
        guard piece == next else {
            return "choice \(piece.choice) tells \(piece) behind \(pieces) pieces, not \(String(describing: next))"
        }
        told[piece.choice] = (tokens + piece.journal.count, pieces + 1)
        return nil
    }

    private func problem(with completion: Completion) -> String? {
        for (index, choice) in expected.choices.enumerated() where told[index].pieces != choice.pieces.count {
            return "choice \(index) ends behind \(told[index].pieces) of \(choice.pieces.count) pieces"
        }
        let usage = Usage(
            promptTokens: expected.promptTokens, cachedTokens: cachedTokens,
            outputTokens: expected.choices.reduce(0) { $0 + $1.tokens.count })
        guard completion.usage == usage else { return "\(completion.usage) in place of \(usage)" }
        let isRight =
            completion.finishReasons == expected.choices.map(\.finish)
            && completion.stopTexts == expected.choices.map(\.stopText)
        return isRight ? nil : "it ends with \(completion.finishReasons), \(completion.stopTexts)"
    }
}

extension LocalPipeline {
    /// What happened that may end a request before its answer does.
    struct Mishaps {
        /// Requests whose clients left.
        var left: Set<RequestID> = []
        /// Stages that were lost.
        var lostStages: Set<Int> = []
        /// Failed steps, as clients are told of them.
        var failures: Set<String> = []

        /// Whether this is why a request may end so.
        func explain(_ error: GenerationError, of id: RequestID) -> Bool {
            switch error {
            case .overloaded: true
            case .cancelled: left.contains(id)
            case .stageLost(let stage, _): lostStages.contains(stage)
            case .modelNotReady: !lostStages.isEmpty
            case .engineFailed(let reason): failures.contains(reason)
            default: false
            }
        }
    }
}
