/// What a batch policy sees when it decides how many guesses follow a decoding lane's newest token.
package struct DraftLoad: Hashable, Sendable {
    /// Number of stages.
    package var stageCount: Int
    /// Lanes that have their prompt behind them, those in flight included.
    package var decodingLanes: Int
    /// Decoding lanes in this microbatch.
    package var decodeLanes: Int
    /// Rows of the microbatch so far: newest tokens, other lanes' guesses, prefill.
    package var rows: Int
    /// Tokens the microbatch is expected to bring so far: one per decoding lane, and what other lanes' guesses add.
    package var tokens: Double
    /// The chance of each guess to be right when those before it were; as many as there are guesses.
    package var chances: [Double]
    /// What a step takes beyond the stages' own time, from stage 0 and back. **Units:** nanoseconds.
    package var hopNanoseconds: Double
    /// What it takes to make one more guess; 0 for guesses that are there. **Units:** nanoseconds.
    package var guessNanoseconds: Double

    /// Whether the last stage makes the guesses, and not the entry stage's machine beside it.
    package var guessesLast = false

    /// Makes a load.
    package init(
        stageCount: Int, decodingLanes: Int, decodeLanes: Int, rows: Int, tokens: Double, chances: [Double],
        hopNanoseconds: Double = 0, guessNanoseconds: Double = 0
    ) {
        self.stageCount = stageCount
        self.decodingLanes = decodingLanes
        self.decodeLanes = decodeLanes
        self.rows = rows
        self.tokens = tokens
        self.chances = chances
        self.hopNanoseconds = hopNanoseconds
        self.guessNanoseconds = guessNanoseconds
    }

    /// Tokens that the first `width` guesses are expected to add: each counts when it and all before it are right.
    package func expectedTokens(width: Int) -> Double {
        var (sum, all) = (0.0, 1.0)
        for chance in chances.prefix(width) {
            all *= chance
            sum += all
        }
        return sum
    }
}
