import Vocabulary

/// A model's own heads for several tokens: the last stage guesses with them what follows the tokens it samples, and
/// sends the guesses along with the tokens. So a window costs no journey of its own, and no lane waits for guesses.
///
/// The brain tells the last stage, with the rows, what to guess in which lane, as long as that is worth its time.
extension EngineCore {
    /// The heads read along in a lane from its start when guesses are believed to pay, or could and are not believed to
    /// be mostly wrong: whether they are is found out by guessing now and then.
    mutating func followWithHeads(_ request: Int, _ choice: Int) {
        let state = active[request]
        guard settings.usesHeads, state.asksModel, state.pooling == nil else { return }
        var load = loneDraftLoad
        load.decodingLanes = max(1, load.decodingLanes)
        let chance =
            state.choices[choice].drafter?.modelChance ?? draftPrior.chance(temperature: state.sampling.temperature)
        load.chances = Array(repeating: chance, count: Limits.draftWidth)
        let mayPay = chance >= Limits.headProbeChance && couldPay(load)
        if mayPay || settings.policy.draftWidth(for: load) > 0 { wish(GuessWish(width: 0, floor: 0), request, choice) }
    }

    /// Decides what is guessed behind the next tokens of lanes that decode.
    mutating func wishGuesses(for boardings: ArraySlice<Boarding>) {
        guard settings.usesHeads else { return }
        let load = loneDraftLoad
        for boarding in boardings {
            guard let owner = lanes[boarding.lane].owner else { continue }
            let (request, choice) = (owner.request, owner.choice)
            // Where the heads did not follow, they know nothing to guess from.
            guard active[request].choices[choice].headWish != nil else { continue }
            wish(worthWishing(request, choice, load), request, choice)
        }
    }

    /// What is worth being guessed behind a lane's next token; nil when not even whether it will be is worth knowing.
    private mutating func worthWishing(_ request: Int, _ choice: Int, _ load: DraftLoad) -> GuessWish? {
        let worth = worthGuessing(request, choice, load)
        let state = active[request].choices[choice]
        if worth == nil, state.gain.allowsWindows, let chance = state.drafter?.modelChance,
            chance < Limits.headProbeChance
        {
            return nil
        }
        // The token before the guesses is still to come.
        let room = active[request].outputLimit - state.answer.count - 2
        let floor = (min(max(0, worth?.floor ?? 0), 1) * Self.floorSteps).rounded(.down) / Self.floorSteps
        return GuessWish(width: max(0, min(worth?.width ?? 0, room)), floor: Float(floor))
    }

    /// Floors are rounded down to one of so many, or every step would tell a new one.
    private static var floorSteps: Double { 16 }

    private mutating func wish(_ wish: GuessWish?, _ request: Int, _ choice: Int) {
        guard active[request].choices[choice].headWish != wish, let lane = active[request].choices[choice].lane
        else { return }
        active[request].choices[choice].headWish = wish
        if wish == nil { active[request].choices[choice].hasLeftHeads = true }
        operations.append(.guess(lane: lane, wish))
    }

    /// Takes what the heads expect behind an answer's newest token. Heads that are silent again and again although
    /// guesses were wished for have failed on their stage, and are not asked any more.
    mutating func take(_ guesses: [TokenGuess], _ request: Int, _ choice: Int, wished: Bool) {
        active[request].choices[choice].guesses = sendable(Guesses(guesses))
        guard wished else { return }
        silentHeads = guesses.isEmpty ? silentHeads + 1 : 0
        if silentHeads >= Limits.headSilence { settings.heads = nil }
    }
}
