import Testing

@testable import Serving

@Suite struct `Whether answers try a model's guesses` {
    /// Answers until the next one tries, itself not counted.
    private func pause(_ trial: inout GuessTrial) -> Int {
        var count = 0
        while !trial.admits() { count += 1 }
        return count
    }

    @Test func `those that pay are tried by every answer`() {
        var trial = GuessTrial()
        for _ in 0..<200 {
            trial.record(tokens: 3, plainTokens: 2.9)
            let pause = pause(&trial)
            #expect(pause == 0)
        }
    }

    @Test func `a few slow windows decide nothing`() {
        var trial = GuessTrial()
        for _ in 0..<3 { trial.record(tokens: 1, plainTokens: 2) }
        // Those that pay make up for them.
        for _ in 0..<20 { trial.record(tokens: 4, plainTokens: 2) }
        let pause = pause(&trial)
        #expect(pause == 0)
    }

    @Test func `those that do not are tried less and less, and never given up`() {
        var trial = GuessTrial()
        var pauses: [Int] = []
        for _ in 0..<7 {
            for _ in 0..<8 { trial.record(tokens: 1, plainTokens: 1.2) }
            pauses.append(pause(&trial))
        }
        #expect(pauses == [4, 8, 16, 32, 64, 64, 64])
    }

    @Test func `when they have come to pay, the next time they do not is the first again`() {
        var trial = GuessTrial()
        for _ in 0..<8 { trial.record(tokens: 1, plainTokens: 2) }
        let first = pause(&trial)
        for _ in 0..<60 { trial.record(tokens: 3, plainTokens: 2) }
        // What was good for long is believed for some windows.
        var slow = 0
        var isPaused = false
        while !isPaused, slow < 100 {
            trial.record(tokens: 1, plainTokens: 2)
            slow += 1
            isPaused = !trial.admits()
        }
        let rest = pause(&trial)
        #expect(first == 4 && slow > 8 && slow < 64 && rest == 3)
    }
}
