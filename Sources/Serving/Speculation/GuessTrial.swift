/// Whether the next answer tries guesses of a draft model or of the model's own heads, by what they brought the latest
/// answers by the clock.
///
/// An answer finds out by itself what its windows bring (`WindowGain`), but its first ones, and what a draft model
/// takes in of its prompt, are the price. So where windows were clearly slower than none, the next answers go without;
/// then one tries again, and when that is no better, twice as many go without.
struct GuessTrial: Hashable, Sendable {
    /// Windows since guesses were last given up.
    private var windows = 0
    /// Tokens of the latest windows, older ones fading, and those that steps without would have brought meanwhile.
    private var (brought, forgone) = (0.0, 0.0)
    /// Answers that are still to go without.
    private var pause = 0
    private var nextPause = Limits.trialPause

    /// Whether an answer that begins now tries.
    mutating func admits() -> Bool {
        guard pause > 0 else { return true }
        pause -= 1
        return false
    }

    /// Takes a window, guessed by a model, of an answer whose steps without bring `plainTokens` in the same time.
    mutating func record(tokens: Double, plainTokens: Double) {
        let rest = 1 - 1 / Limits.trialMemory
        brought = brought * rest + tokens
        forgone = forgone * rest + plainTokens
        windows += 1
        guard windows >= Limits.trialWindows else { return }
        if brought < Limits.trialLoss * forgone {
            (windows, brought, forgone, pause) = (0, 0, 0, nextPause)
            nextPause = min(2 * nextPause, Limits.longestTrialPause)
        } else if windows >= Limits.trialWindows + Int(Limits.trialMemory) {
            nextPause = Limits.trialPause
        }
    }
}
