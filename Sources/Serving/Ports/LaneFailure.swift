package import Vocabulary

/// Why a last stage has no token for a lane. It is answered in the token's place, because ids of tokens are never below
/// 0: what fails for one lane ends that lane's answer, and the others of its microbatch get their tokens.
package enum LaneFailure: Token, Error, CaseIterable, Sendable {
    /// The lane was never opened, or what it was to be opened with was refused.
    case noSampler = -1
    /// The grammar and the request's own bans leave no token to choose.
    case nothingToChoose = -2
    /// The answer, or the prompt's part that its grammar reads, holds what the grammar does not take.
    case leftGrammar = -3

    /// How the request of the lane ends.
    package var error: GenerationError {
        switch self {
        case .noSampler:
            .engineFailed(reason: "the last stage could not open a lane for the request")
        case .nothingToChoose:
            .unsupported(
                feature: "An answer for which the grammar and the request's own bans leave no token",
                remedy: "change the grammar or schema, logit_bias or ignore_eos")
        case .leftGrammar:
            .engineFailed(reason: "the answer left its grammar, so nothing could be chosen by it any more")
        }
    }
}
