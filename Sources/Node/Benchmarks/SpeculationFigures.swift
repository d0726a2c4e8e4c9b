import Runner

/// Collects what guessing brought for one kind of text.
struct SpeculationFigures {
    private var plain: [Double] = []
    private var guessed: [Double] = []
    private var gain: [Double] = []
    private var drafted: [Double] = []
    private var accepted: [Double] = []

    mutating func add(_ plain: Double, _ guessed: Double, _ before: EntryReport?, _ after: EntryReport?) {
        self.plain.append(plain)
        self.guessed.append(guessed)
        gain.append(guessed / plain)
        drafted.append(Double((after?.draftedTokens ?? 0) - (before?.draftedTokens ?? 0)))
        accepted.append(Double((after?.acceptedTokens ?? 0) - (before?.acceptedTokens ?? 0)))
    }

    /// The newest run, for whoever waits.
    var latest: String {
        guard let plain = plain.last, let guessed = guessed.last, let gain = gain.last else { return "" }
        return "off \(BenchReport.rounded(plain)) tokens/s, auto \(BenchReport.rounded(guessed)), "
            + "gain \(BenchReport.rounded(gain))"
    }

    func results(_ name: String) -> [BenchReport.Result] {
        [
            .init("\(name)_off_tok_s", unit: "tokens/s", plain), .init("\(name)_auto_tok_s", unit: "tokens/s", guessed),
            .init("\(name)_gain", unit: "ratio", gain), .init("\(name)_drafted", unit: "tokens", drafted),
            .init("\(name)_accepted", unit: "tokens", accepted),
        ]
    }
}
