package import Vocabulary

/// A piece of work for the draft model: what it has to take in, and which sequences it shall continue.
///
/// It applies `operations` in order, runs `rows`, and then guesses for all of `wishes` at once, token by token. Its
/// lanes are those of the stages; positions and tokens are, too.
package struct DraftWork: Hashable, Sendable {
    /// What shall be guessed for one lane.
    package struct Wish: Hashable, Sendable {
        /// Where; the lane's newest row samples.
        package var lane: Lane
        /// Tokens, at most.
        package var width: Int
        /// A guess after which the chance of all so far is less than this is the last one.
        package var floor: Double

        /// Makes a wish.
        package init(lane: Lane, width: Int, floor: Double) {
            self.lane = lane
            self.width = width
            self.floor = floor
        }
    }

    /// Its identity; the answer names it.
    package var id: UInt64
    /// Changes of sequence state, applied before the rows.
    package var operations: [SequenceOperation]
    /// Known tokens; the last one of each lane with a wish samples.
    package var rows: [StageRow]
    /// What shall be guessed, at most once per lane.
    package var wishes: [Wish]

    /// Makes a piece of work.
    package init(id: UInt64, operations: [SequenceOperation], rows: [StageRow], wishes: [Wish]) {
        self.id = id
        self.operations = operations
        self.rows = rows
        self.wishes = wishes
    }
}

/// What a draft model guesses to follow in one lane.
package struct DraftedLane: Hashable, Sendable {
    /// Where.
    package var lane: Lane
    /// The guesses, in order. All but the last one are in the draft model's cache.
    package var tokens: [Token]
    /// The draft model's own probability of each.
    package var probabilities: [Double]

    /// Makes guesses.
    package init(lane: Lane, tokens: [Token] = [], probabilities: [Double] = []) {
        self.lane = lane
        self.tokens = tokens
        self.probabilities = probabilities
    }

    /// The guesses with their evidence.
    var guesses: Guesses {
        Guesses(zip(tokens, probabilities).map { TokenGuess(token: $0, probability: Float($1)) })
    }
}
