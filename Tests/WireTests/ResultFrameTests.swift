import Testing
import Vocabulary
import Wire

@Suite struct `Results, failures and signals` {
    @Test func `a plain token costs 12 bytes behind the counts`() throws {
        let token = SampledToken(lane: Lane(1), position: 2, token: 3)
        let one = try FrameBytes.write { writer throws(WireError) in try writer.result(of: 1, [token]) }
        #expect(one.count == 16 + 4 + 12)
        #expect(try FrameBytes.stageFrame(one) == .result([token], step: 1))
    }

    @Test func `tokens with and without alternatives come back, none too`() throws {
        for tokens in [GoldenFrames.tokens, []] {
            let bytes = try FrameBytes.write { writer throws(WireError) in try writer.result(of: 9, tokens) }
            #expect(try FrameBytes.stageFrame(bytes) == .result(tokens, step: 9))
        }
    }

    @Test func `vectors come back beside tokens, and one without numbers is refused`() throws {
        var vector = SampledToken(lane: Lane(2), position: 9, token: 0)
        vector.vector = [1.5, -0.0, .leastNonzeroMagnitude, 3e38]
        let tokens = GoldenFrames.tokens + [vector] + GoldenFrames.tokens
        let bytes = try FrameBytes.write { writer throws(WireError) in try writer.result(of: 9, tokens) }
        #expect(try FrameBytes.stageFrame(bytes) == .result(tokens, step: 9))

        let single = vector
        let lone = try FrameBytes.write { writer throws(WireError) in try writer.result(of: 9, [single]) }
        #expect(lone.count == 16 + 4 + 12 + 4 + 16)
        for count in [0, 5, 131_073] as [UInt32] {
            var lying = lone
            FrameBytes.replace(&lying, at: 32, count)
            FrameBytes.seal(&lying)
            let frame = lying
            #expect(throws: WireError.self, "\(count) numbers") { try FrameBytes.stageFrame(frame) }
        }
        vector.vector = [Float](repeating: 1, count: Limits.width + 1)
        let wide = vector
        #expect(
            throws: WireError.cannotEncode(field: "result.vector", value: 131_073, allowed: "0 … 131072")
        ) {
            try FrameBytes.write { writer throws(WireError) in try writer.result(of: 0, [wide]) }
        }
    }

    @Test func `results beyond their limits are refused by name`() throws {
        let candidate = TokenLogprob.Candidate(token: 1, bytes: [], logprob: 0)
        var token = SampledToken(lane: Lane(0), position: 0, token: 0)
        token.logprob = TokenLogprob(
            chosen: candidate, top: [TokenLogprob.Candidate](repeating: candidate, count: Limits.alternatives + 1))
        let wide = token
        #expect(throws: WireError.cannotEncode(field: "logprob.alternatives", value: 257, allowed: "0 … 256")) {
            try FrameBytes.write { writer throws(WireError) in try writer.result(of: 0, [wide]) }
        }
        let plain = SampledToken(lane: Lane(0), position: 0, token: 0)
        let many = [SampledToken](repeating: plain, count: Limits.rows + 1)
        #expect(throws: WireError.cannotEncode(field: "result.count", value: 8193, allowed: "0 … 8192")) {
            try FrameBytes.write { writer throws(WireError) in try writer.result(of: 0, many) }
        }
        // A count that the frame's bytes cannot hold is refused before memory is taken for it.
        var lying = try FrameBytes.write { writer throws(WireError) in try writer.result(of: 0, [plain]) }
        FrameBytes.replace(&lying, at: 16, UInt16(8000))
        FrameBytes.seal(&lying)
        let frame = lying
        #expect(throws: WireError.truncated(field: "result.tokens", offset: 4, needed: 96_000, available: 12)) {
            try FrameBytes.stageFrame(frame)
        }
    }

    @Test(arguments: [
        StageFailure.Cause.outOfCells(rows: 8, cellCount: 4096),
        .invalidRow(field: "lane", value: -9, limit: 4), .cancelled,
        .engine(operation: "llama_decode", code: -3, reason: "it ended early — ü"),
        .protocolViolation(reason: "bad frame"), .stageLost(reason: "connection reset"), .draining,
    ])
    func `every failure comes back with its values and a sentence`(cause: StageFailure.Cause) throws {
        let failure = StageFailure(stage: 3, cause: cause)
        let bytes = try FrameBytes.write { writer throws(WireError) in try writer.failure(of: 4, failure) }
        #expect(try FrameBytes.stageFrame(bytes) == .failure(failure, step: 4))
        #expect(failure.description.contains("Stage 3"))
    }

    @Test func `a long reason is cut at a whole character so that a failure can always be told`() throws {
        let reason = String(repeating: "ü", count: 5000)
        let failure = StageFailure(stage: 0, cause: .stageLost(reason: reason))
        let bytes = try FrameBytes.write { writer throws(WireError) in try writer.failure(of: 4, failure) }
        let cut = StageFailure(stage: 0, cause: .stageLost(reason: String(repeating: "ü", count: 1024)))
        #expect(try FrameBytes.stageFrame(bytes) == .failure(cut, step: 4))
    }

    @Test func `signals come back`() throws {
        let epoch = Epoch(term: .max, number: 1)
        let statistics = GoldenFrames.statistics
        let frames: [(StageFrame, (inout FrameWriter) throws(WireError) -> Void)] = [
            (.fenced(current: epoch, step: 8), { w throws(WireError) in try w.fenced(step: 8, current: epoch) }),
            (.cancel(first: .max, count: 3), { w throws(WireError) in try w.cancel(from: .max, count: 3) }),
            (.drain, { w throws(WireError) in try w.drain() }),
            (.drained, { w throws(WireError) in try w.drained() }),
            (.ping(.max), { w throws(WireError) in try w.ping(.max) }),
            (.pong(7), { w throws(WireError) in try w.pong(7) }),
            (.statisticsRequest, { w throws(WireError) in try w.statisticsRequest() }),
            (.statistics(statistics), { w throws(WireError) in try w.statistics(statistics) }),
        ]
        for (frame, write) in frames {
            #expect(try FrameBytes.stageFrame(try FrameBytes.write(write)) == frame)
        }
    }

    @Test func `counters of a newer release are passed over and absent ones are zero`() throws {
        let golden = try #require(GoldenFrames.all.first { $0.kind == .statistics }).bytes
        var newer = golden + [9, 9, 9, 9, 9, 9, 9, 9]
        newer[18] = 10
        FrameBytes.seal(&newer)
        #expect(try FrameBytes.stageFrame(newer) == .statistics(GoldenFrames.statistics))
        var older = Array(golden.dropLast(8))
        older[18] = 8
        FrameBytes.seal(&older)
        var expected = GoldenFrames.statistics
        expected.receivedBytes = 0
        #expect(try FrameBytes.stageFrame(older) == .statistics(expected))
    }

    @Test func `frames of another place are refused`() throws {
        let generate = try FrameBytes.write { writer throws(WireError) in try writer.cancelRequest(RequestID(1)) }
        #expect(throws: WireError.unexpectedKind(.cancelRequest, expected: "a frame between stages")) {
            try FrameBytes.stageFrame(generate)
        }
        let ping = try FrameBytes.write { writer throws(WireError) in try writer.ping(1) }
        #expect(throws: WireError.unexpectedKind(.ping, expected: "a frame between node and runner")) {
            try FrameBytes.runnerFrame(ping)
        }
    }
}
