/// How often the draft model is believed to be right in an answer before it has shown it there.
///
/// Taking in a prompt costs the draft model time that only right guesses bring back. So where the latest answers could
/// not be guessed, the next one is not taken for guessable either, until a while has passed.
struct DraftPrior: Hashable, Sendable {
    /// Of the latest answers, for tokens that are drawn as the model weighs them.
    private var latest = Limits.draftPrior

    /// The chance of any guess in an answer with this temperature: the more evenly tokens are drawn, the less any of
    /// them can be known before.
    func chance(temperature: Float) -> Double { latest / Self.evenness(temperature) }

    /// Takes in an answer that has ended: how often guesses were right there, nil when too few were made to tell.
    mutating func record(_ share: Double?, temperature: Float) {
        if let share {
            latest += (min(1, share * Self.evenness(temperature)) - latest) / Limits.draftPriorMemory
        } else {
            latest += (Limits.draftPrior - latest) / Limits.draftPriorReturn
        }
    }

    private static func evenness(_ temperature: Float) -> Double { max(1, Double(temperature)) }
}
