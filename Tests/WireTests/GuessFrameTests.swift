import Testing
import Vocabulary
import Wire

@Suite struct `Guesses in frames` {
    /// A frame of this one operation: header, counts, then code, lane, flag, width and floor at byte 20.
    private func frame(guess wish: GuessWish?) throws(WireError) -> [UInt8] {
        try FrameBytes.write { writer throws(WireError) in
            try writer.operations([.guess(lane: Lane(258), wish)], before: 7)
        }
    }

    /// A frame of this one token: header, counts, the token's record at byte 20, its guesses at byte 32.
    private func frame(guesses: [TokenGuess]) throws(WireError) -> [UInt8] {
        var token = SampledToken(lane: Lane(1), position: 2, token: 3)
        token.guesses = guesses
        let tokens = [token]
        return try FrameBytes.write { writer throws(WireError) in try writer.result(of: 9, tokens) }
    }

    /// What a frame is taken for after a change to its bytes.
    @discardableResult
    private func changed(_ bytes: [UInt8], _ change: (inout [UInt8]) -> Void) throws(WireError) -> StageFrame {
        var frame = bytes
        change(&frame)
        FrameBytes.seal(&frame)
        return try FrameBytes.stageFrame(frame)
    }

    private func guesses(_ count: Int) -> [TokenGuess] {
        (0..<count).map { TokenGuess(token: Token(1000 * $0 - 1), probability: 1 / Float($0 + 1)) }
    }

    /// Numbers that are no chance.
    private static let noChances: [Float] = [.nan, 1.5, Float(1).nextUp, -0.25, .infinity, -.infinity]

    // MARK: Wishes

    @Test func `wishes come back in order, none too`() throws {
        let wishes = [
            nil, GuessWish(width: 0, floor: 0), GuessWish(width: 15, floor: 0.5),
            GuessWish(width: Limits.guesses, floor: 1), nil, GuessWish(width: 1, floor: .leastNonzeroMagnitude),
        ]
        let operations =
            wishes.enumerated().map { SequenceOperation.guess(lane: Lane(UInt16($0)), $1) } + [.free(lane: Lane(9))]
        let bytes = try FrameBytes.write { writer throws(WireError) in try writer.operations(operations, before: 12) }
        #expect(try FrameBytes.stageFrame(bytes) == .operations(operations, before: 12))
    }

    @Test func `a wish has these 12 bytes`() throws {
        let wish = try frame(guess: GuessWish(width: 15, floor: 0.5))
        #expect(FrameBytes.hex(wish.dropFirst(20)) == "0a000201" + "01000f00" + "0000003f")
        let none = try frame(guess: nil)
        #expect(FrameBytes.hex(none.dropFirst(20)) == "0a000201" + "00000000" + "00000000")
    }

    @Test func `a wish beyond its limit is refused by writer and reader`() throws {
        for width in [Limits.guesses + 1, -1] {
            #expect(
                throws: WireError.cannotEncode(field: "operations.guess.width", value: width, allowed: "0 … 64")
            ) {
                try frame(guess: GuessWish(width: width, floor: 0))
            }
        }
        let bytes = try frame(guess: GuessWish(width: Limits.guesses, floor: 0))
        #expect(throws: WireError.limitExceeded(field: "operation.guess.width", value: 65, limit: 64)) {
            try changed(bytes) { FrameBytes.replace(&$0, at: 26, UInt16(65)) }
        }
    }

    @Test func `a wish that is neither there nor not is refused`() throws {
        for wish in [nil, GuessWish(width: 1, floor: 0)] {
            let bytes = try frame(guess: wish)
            #expect(throws: WireError.invalidValue(field: "operation.guess", offset: 8, value: 2, allowed: "0 … 1")) {
                try changed(bytes) { FrameBytes.replace(&$0, at: 24, UInt16(2)) }
            }
        }
    }

    @Test func `a floor that is no chance is refused`() throws {
        let bytes = try frame(guess: GuessWish(width: 3, floor: 0.5))
        for floor in Self.noChances {
            #expect(
                throws: WireError.invalidValue(
                    field: "operation.guess.floor", offset: 12, value: Int(floor.bitPattern), allowed: "0 … 1")
            ) {
                try changed(bytes) { FrameBytes.replace(&$0, at: 28, floor.bitPattern) }
            }
        }
    }

    @Test func `a wish that ends early is refused`() throws {
        let bytes = try frame(guess: GuessWish(width: 3, floor: 0.5))
        for count in 1...12 {
            #expect(throws: WireError.self, "\(count) bytes less") { try changed(bytes) { $0.removeLast(count) } }
        }
        #expect(throws: WireError.lengthMismatch(field: "operations", value: 17, expected: 16)) {
            try changed(bytes) { $0.append(0) }
        }
    }

    // MARK: Guesses

    @Test(arguments: [1, 2, 15, Limits.guesses])
    func `guesses come back with their token`(count: Int) throws {
        var token = SampledToken(lane: Lane(2), position: 40, token: 5)
        token.guesses = guesses(count)
        let tokens = GoldenFrames.tokens + [token] + GoldenFrames.tokens
        let bytes = try FrameBytes.write { writer throws(WireError) in try writer.result(of: 9, tokens) }
        #expect(try FrameBytes.stageFrame(bytes) == .result(tokens, step: 9))
    }

    @Test func `guesses stand behind a log-probability and a vector`() throws {
        for (hasLogprob, hasVector) in [(true, false), (false, true), (true, true)] {
            var token = GoldenFrames.tokens[1]
            if !hasLogprob { token.logprob = nil }
            if hasVector { token.vector = [1.5, -2, 0] }
            token.guesses = guesses(3)
            let tokens = [token, GoldenFrames.tokens[0]]
            let bytes = try FrameBytes.write { writer throws(WireError) in try writer.result(of: 9, tokens) }
            #expect(bytes[22] == 4 + (hasLogprob ? 1 : 0) + (hasVector ? 2 : 0))
            #expect(try FrameBytes.stageFrame(bytes) == .result(tokens, step: 9))
        }
    }

    @Test func `a token without guesses has the bytes it always had`() throws {
        #expect(FrameBytes.hex(try frame(guesses: []).dropFirst(20)) == "01000000" + "02000000" + "03000000")
        let one = try frame(guesses: [TokenGuess(token: 7, probability: 0.5)])
        #expect(
            FrameBytes.hex(one.dropFirst(20)) == "01000400" + "02000000" + "03000000" + "01000000" + "07000000"
                + "0000003f")
    }

    @Test func `guesses beyond their limit are refused by writer and reader, and so is none`() throws {
        #expect(throws: WireError.cannotEncode(field: "result.guesses", value: 65, allowed: "0 … 64")) {
            try frame(guesses: guesses(Limits.guesses + 1))
        }
        let bytes = try frame(guesses: guesses(1))
        #expect(throws: WireError.limitExceeded(field: "result.guesses", value: 65, limit: 64)) {
            try changed(bytes) { FrameBytes.replace(&$0, at: 32, UInt16(65)) }
        }
        #expect(throws: WireError.invalidValue(field: "result.guesses", offset: 16, value: 0, allowed: "1 … 64")) {
            try changed(bytes) { FrameBytes.replace(&$0, at: 32, UInt16(0)) }
        }
        #expect(throws: WireError.invalidValue(field: "result.guesses.reserved", offset: 18, value: 1, allowed: "0")) {
            try changed(bytes) { FrameBytes.replace(&$0, at: 34, UInt16(1)) }
        }
    }

    @Test func `guesses that end early are refused before memory is taken for them`() throws {
        let bytes = try frame(guesses: guesses(2))
        for count in 1...20 {
            #expect(throws: WireError.self, "\(count) bytes less") { try changed(bytes) { $0.removeLast(count) } }
        }
        #expect(throws: WireError.truncated(field: "result.guesses", offset: 20, needed: 512, available: 16)) {
            try changed(bytes) { FrameBytes.replace(&$0, at: 32, UInt16(64)) }
        }
        #expect(throws: WireError.lengthMismatch(field: "result", value: 36, expected: 28)) {
            try changed(bytes) { FrameBytes.replace(&$0, at: 32, UInt16(1)) }
        }
    }

    @Test func `a guess whose probability is none is refused`() throws {
        let bytes = try frame(guesses: guesses(2))
        for probability in Self.noChances {
            #expect(
                throws: WireError.invalidValue(
                    field: "result.guess.probability", offset: 32, value: Int(probability.bitPattern), allowed: "0 … 1")
            ) {
                // The second one's.
                try changed(bytes) { FrameBytes.replace(&$0, at: 48, probability.bitPattern) }
            }
        }
    }

    @Test func `a flag that nobody knows is refused`() throws {
        let bytes = try frame(guesses: guesses(1))
        #expect(throws: WireError.invalidValue(field: "result.flags", offset: 6, value: 12, allowed: "0 … 7")) {
            try changed(bytes) { FrameBytes.replace(&$0, at: 22, UInt16(12)) }
        }
    }
}
