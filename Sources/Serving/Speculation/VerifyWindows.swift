package import Vocabulary

/// Where the guesses of a microbatch turn out wrong, for a last stage that samples row by row.
///
/// A lane's rows behind its newest token are guesses. As soon as the token sampled from a row is not the next row's,
/// the rows from there on belong to a future that did not happen: nothing is sampled from them, and the sampler does
/// not see their tokens. A prompt's rows are no guesses, whatever is sampled between them.
package struct VerifyWindows: Sendable {
    private var newest: [Lane: SampledToken] = [:]
    private var ended: Set<Lane> = []

    /// Nothing was sampled.
    package init() {}

    /// A new microbatch begins.
    package mutating func begin() {
        newest.removeAll(keepingCapacity: true)
        ended.removeAll(keepingCapacity: true)
    }

    /// Whether the row's token is what its lane became.
    package mutating func admits(_ row: StageRow) -> Bool {
        if ended.contains(row.lane) { return false }
        guard let sampled = newest[row.lane], sampled.position == row.position, sampled.token != row.token else {
            return true
        }
        ended.insert(row.lane)
        return false
    }

    /// The lane has no token, and none is sampled from its rows behind this one.
    package mutating func end(_ lane: Lane) { ended.insert(lane) }

    /// Takes note of what was sampled from a row.
    package mutating func follow(_ sampled: SampledToken, promptLength: Int32) {
        if sampled.position >= promptLength { newest[sampled.lane] = sampled }
    }
}
