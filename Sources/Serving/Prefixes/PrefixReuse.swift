/// What of an earlier sequence a model's caches can give to a new one.
package enum PrefixReuse: String, Hashable, Sendable, Codable {
    /// Any beginning: plain attention keeps every position for itself.
    case beginnings
    /// The whole sequence or nothing: a recurrent state exists for the newest position only. So prompts are kept beside
    /// the sequences with their answers.
    case whole
    /// Nothing is kept.
    case off
}
