/// One of the samplers that prepare the choice of a token, by llama.cpp's name. The cases stand in the order in which
/// they are at work when a request names none.
package enum Sampler: String, Hashable, Sendable, Codable, CaseIterable {
    /// The penalties of repetition, frequency and presence.
    case penalties
    /// The penalty of repeated sequences.
    case dry
    /// Drops what lies standard deviations below the best logit.
    case topNSigma = "top_n_sigma"
    /// Drops all but so many.
    case topK = "top_k"
    /// Drops what is not locally typical.
    case typicalP = "typ_p"
    /// Drops what lies outside of a probability mass.
    case topP = "top_p"
    /// Drops what is unlikely beside the most likely token.
    case minP = "min_p"
    /// Drops the top choices by chance.
    case xtc
    /// Divides the logits, fixed or by their entropy.
    case temperature

    /// Whether it drops candidates and leaves the logits of the others alone.
    package var truncates: Bool {
        switch self {
        case .penalties, .dry, .temperature: false
        case .topNSigma, .topK, .typicalP, .topP, .minP, .xtc: true
        }
    }
}
