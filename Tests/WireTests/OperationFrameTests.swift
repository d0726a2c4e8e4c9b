import Testing
import Vocabulary
import Wire

@Suite struct `Operation frames` {
    @Test func `operations come back in order before their step`() throws {
        let bytes = try FrameBytes.write { writer throws(WireError) in
            try writer.operations(GoldenFrames.operations, before: 12)
        }
        #expect(try FrameBytes.stageFrame(bytes) == .operations(GoldenFrames.operations, before: 12))
    }

    @Test func `operations about sequences on disk come back with lane and key`() throws {
        let operations = ArchiveOperation.Action.allCases.map { action in
            let lane = Lane(action == .save || action == .restore ? 3 : 0)
            return SequenceOperation.archive(
                ArchiveOperation(action, lane: lane, key: SequenceKey(of: [1, -2, Int32(action.rawValue)])))
        }
        let bytes = try FrameBytes.write { writer throws(WireError) in
            try writer.operations(operations + [.free(lane: Lane(1))], before: 3)
        }
        #expect(try FrameBytes.stageFrame(bytes) == .operations(operations + [.free(lane: Lane(1))], before: 3))
        var short = Array(bytes.dropLast(5))
        FrameBytes.replace(&short, at: 0, UInt32(short.count - 16))
        FrameBytes.seal(&short)
        let frame = short
        #expect(throws: WireError.self) { try FrameBytes.stageFrame(frame) }
    }

    @Test func `every field of a lane's sampling travels, whatever the receiver's defaults`() throws {
        var random = SeededRandom(seed: 21)
        for round in 0..<200 {
            let operation = SequenceOperation.open(lane: Lane(UInt16(round)), sampling: sampling(&random))
            let bytes = try FrameBytes.write { writer throws(WireError) in
                try writer.operations([operation], before: 0)
            }
            #expect(try FrameBytes.stageFrame(bytes) == .operations([operation], before: 0))
        }
    }

    @Test func `every sampling parameter is on the wire`() throws {
        // Changing any stored property must change the bytes, so a parameter added to the vocabulary is not forgotten.
        let plain = LaneSampling(parameters: SamplingParameters(), promptLength: 1)
        #expect(Mirror(reflecting: plain.parameters).children.count == 26)
        // All but the rows of images, which only the first stage needs, and that is where they are made.
        let travelling = Mirror(reflecting: plain).children.compactMap(\.label).filter { $0 != "images" }
        #expect(travelling.count == 6)
        #expect(Mirror(reflecting: LaneGrammar(text: "")).children.count == 3)
        #expect(SamplingField.allCases.count == 26 + 2 + 3 + 2)
    }

    @Test func `a lane that becomes a vector says how, and nothing but the known ways`() throws {
        for pooling in Pooling.allCases {
            var sampling = LaneSampling(parameters: SamplingParameters(), promptLength: 1)
            sampling.pooling = pooling
            let operation = SequenceOperation.open(lane: Lane(3), sampling: sampling)
            let bytes = try FrameBytes.write { writer throws(WireError) in
                try writer.operations([operation], before: 0)
            }
            #expect(try FrameBytes.stageFrame(bytes) == .operations([operation], before: 0))
            var wrong = bytes
            wrong[wrong.count - 1] = 4
            FrameBytes.seal(&wrong)
            let frame = wrong
            #expect(throws: WireError.self) { try FrameBytes.stageFrame(frame) }
        }
    }

    @Test func `a lane's samplers are known ones, in their order`() throws {
        for samplers in [[], [.temperature], Sampler.allCases.reversed()] as [[Sampler]] {
            var sampling = LaneSampling(parameters: SamplingParameters(), promptLength: 1)
            sampling.parameters.samplers = samplers
            let operation = SequenceOperation.open(lane: Lane(3), sampling: sampling)
            let bytes = try FrameBytes.write { writer throws(WireError) in
                try writer.operations([operation], before: 0)
            }
            #expect(try FrameBytes.stageFrame(bytes) == .operations([operation], before: 0))
            for code in [0, 10] as [UInt8] where !samplers.isEmpty {
                var wrong = bytes
                wrong[wrong.count - 1] = code
                FrameBytes.seal(&wrong)
                let frame = wrong
                #expect(throws: WireError.self) { try FrameBytes.stageFrame(frame) }
            }
        }
    }

    @Test func `an unknown field below 0x80 is refused and one above is passed over`() throws {
        let operation = SequenceOperation.open(
            lane: Lane(0), sampling: LaneSampling(parameters: SamplingParameters(), promptLength: 1))
        let bytes = try FrameBytes.write { writer throws(WireError) in
            try writer.operations([operation], before: 0)
        }
        for (tag, isKnown) in [(0x80, true), (0xFF, true), (0x7F, false), (30, false), (0, false)] as [(UInt8, Bool)] {
            var longer = bytes + [tag, 3, 0, 0, 1, 2, 3]
            // The open operation starts behind the counts: code, reserved, lane, then its length.
            FrameBytes.replace(&longer, at: 24, UInt32(longer.count - 28))
            FrameBytes.seal(&longer)
            let frame = longer
            if isKnown {
                #expect(try FrameBytes.stageFrame(frame) == .operations([operation], before: 0))
            } else {
                #expect(throws: WireError.self, "tag \(tag)") { try FrameBytes.stageFrame(frame) }
            }
        }
    }

    @Test func `a missing, repeated or ill-sized field is refused by name`() throws {
        let golden = try #require(GoldenFrames.all.first { $0.kind == .operations }).bytes
        let fields = try FrameBytes.write { writer throws(WireError) in
            try writer.operations(
                [.open(lane: Lane(0), sampling: LaneSampling(parameters: SamplingParameters(), promptLength: 1))],
                before: 0)
        }
        #expect(fields[28] == SamplingField.promptLength.rawValue && golden.count > fields.count)
        func changed(_ change: (inout [UInt8]) -> Void) throws(WireError) {
            var frame = fields
            change(&frame)
            FrameBytes.replace(&frame, at: 24, UInt32(frame.count - 28))
            FrameBytes.seal(&frame)
            _ = try FrameBytes.stageFrame(frame)
        }
        #expect(throws: WireError.fieldCount(field: "sampling.promptLength", value: 0, expected: 1)) {
            try changed { $0.removeSubrange(28..<36) }
        }
        #expect(throws: WireError.fieldCount(field: "sampling.promptLength", value: 2, expected: 1)) {
            try changed { $0 += $0[28..<36] }
        }
        #expect(throws: WireError.lengthMismatch(field: "sampling.promptLength", value: 5, expected: 4)) {
            try changed {
                $0[29] = 5
                $0.insert(0, at: 36)
            }
        }
        #expect(throws: WireError.self) { try changed { $0[29] = 200 } }
        #expect(throws: WireError.self) { try changed { $0.removeLast() } }
        #expect(throws: WireError.fieldCount(field: "sampling.grammarText", value: 0, expected: 1)) {
            try changed { $0 += [SamplingField.grammarTriggers.rawValue, 2, 0, 0, 0, 0] }
        }
    }

    @Test func `sizes beyond their limits are refused by writer and reader`() throws {
        func refuses(_ change: (inout LaneSampling) -> Void) -> Bool {
            var sampling = LaneSampling(parameters: SamplingParameters(), promptLength: 1)
            change(&sampling)
            let operation = SequenceOperation.open(lane: Lane(0), sampling: sampling)
            return
                (try? FrameBytes.write { writer throws(WireError) in
                    try writer.operations([operation], before: 0)
                }) == nil
        }
        #expect(refuses { $0.topLogprobs = Limits.alternatives + 1 })
        #expect(refuses { $0.topLogprobs = -1 })
        #expect(refuses { $0.parameters.dryBreakers = [String](repeating: "", count: Limits.dryBreakers + 1) })
        #expect(refuses { $0.parameters.dryBreakers = [String](repeating: "x", count: 1) + [long(1025)] })
        #expect(refuses { $0.grammar = LaneGrammar(text: long(Limits.grammarBytes + 1)) })
        #expect(refuses { $0.grammar = LaneGrammar(text: "", triggers: [.pattern(long(Limits.patternBytes + 1))]) })
        #expect(refuses { $0.parameters.samplers = [Sampler](repeating: .dry, count: 10) })
        let bias = LogitBias(token: 0, bias: 0)
        #expect(refuses { $0.parameters.logitBias = [LogitBias](repeating: bias, count: Limits.logitBiases + 1) })
        #expect(!refuses { $0.parameters.logitBias = [LogitBias](repeating: bias, count: Limits.logitBiases) })
        let free = [SequenceOperation](repeating: .free(lane: Lane(0)), count: Limits.operations + 1)
        #expect(throws: WireError.cannotEncode(field: "operations.count", value: 4097, allowed: "1 … 4096")) {
            try FrameBytes.write { writer throws(WireError) in try writer.operations(free, before: 0) }
        }
    }

    @Test func `an operation out of range is refused`() throws {
        for operation in [
            SequenceOperation.trim(lane: Lane(0), from: -1), .copy(from: Lane(0), to: Lane(1), length: -5),
        ] {
            #expect(throws: WireError.self) {
                try FrameBytes.write { writer throws(WireError) in try writer.operations([operation], before: 0) }
            }
        }
        var frame = try FrameBytes.write { writer throws(WireError) in
            try writer.operations([.free(lane: Lane(0))], before: 0)
        }
        frame[20] = 11
        FrameBytes.seal(&frame)
        let changed = frame
        #expect(throws: WireError.invalidValue(field: "operation.code", offset: 4, value: 11, allowed: "1 … 10")) {
            try FrameBytes.stageFrame(changed)
        }
    }

    private func long(_ count: Int) -> String { String(repeating: "x", count: count) }

    private func sampling(_ random: inout SeededRandom) -> LaneSampling {
        func float() -> Float { Float(random.below(2_000_001) - 1_000_000) / 1024 }
        func integer() -> Int32 { Int32(truncatingIfNeeded: random.next()) }
        var parameters = SamplingParameters()
        parameters.temperature = float()
        parameters.topP = float()
        parameters.topK = integer()
        parameters.minP = float()
        parameters.typicalP = float()
        parameters.topNSigma = float()
        parameters.xtcProbability = float()
        parameters.xtcThreshold = float()
        parameters.dynamicTemperatureRange = float()
        parameters.dynamicTemperatureExponent = float()
        parameters.repeatPenalty = float()
        parameters.frequencyPenalty = float()
        parameters.presencePenalty = float()
        parameters.penaltyWindow = integer()
        parameters.dryMultiplier = float()
        parameters.dryBase = float()
        parameters.dryAllowedLength = integer()
        parameters.dryWindow = integer()
        parameters.dryBreakers = ["", "é\n", "🪶"].filter { _ in random.below(2) == 0 }
        parameters.mirostat = integer()
        parameters.mirostatTau = float()
        parameters.mirostatEta = float()
        parameters.logitBias = (0..<random.below(4)).map { _ in
            LogitBias(token: integer(), bias: random.below(3) == 0 ? -.infinity : float())
        }
        parameters.ignoreEndOfGeneration = random.below(2) == 0
        parameters.samplers =
            random.below(2) == 0 ? nil : Array(Sampler.allCases.shuffled(using: &random).prefix(random.below(10)))
        parameters.seed = random.below(2) == 0 ? nil : random.next()
        var sampling = LaneSampling(parameters: parameters, promptLength: integer())
        sampling.topLogprobs = random.below(2) == 0 ? nil : random.below(Limits.alternatives + 1)
        if random.below(2) == 0 {
            sampling.grammar = LaneGrammar(text: "root ::= [a-z]+ \"ü\"")
            let triggers: [LaneGrammar.Trigger] = [.pattern("^<tool>"), .token(integer()), .pattern("")]
            if random.below(3) > 0 { sampling.grammar?.triggers = Array(triggers.prefix(random.below(4))) }
        }
        if random.below(2) == 0 {
            sampling.thinking = LaneThinking(
                start: "<thïnk>", ends: Array(["</think>", "", "<call>"].prefix(random.below(4))),
                closings: (0..<random.below(4)).map { (0..<$0).map { _ in integer() } },
                isOpen: random.below(2) == 0, budget: random.below(2) == 0 ? nil : Int32(random.below(1 << 20)))
        }
        return sampling
    }
}
