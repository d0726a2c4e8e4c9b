import Vocabulary

extension FrameWriter {
    /// All fields of `sampling`, so the receiver never depends on its own release's defaults.
    mutating func putFields(_ sampling: LaneSampling) throws(WireError) {
        let parameters = sampling.parameters
        try putInteger(.promptLength, sampling.promptLength)
        if let topLogprobs = sampling.topLogprobs {
            try putFieldHead(.topLogprobs, 4)
            try put32(topLogprobs, "sampling.topLogprobs", limit: Limits.alternatives)
        }
        if let seed = parameters.seed { try putInteger(.seed, seed) }
        try putNumber(.temperature, parameters.temperature)
        try putNumber(.topP, parameters.topP)
        try putInteger(.topK, parameters.topK)
        try putNumber(.minP, parameters.minP)
        try putNumber(.typicalP, parameters.typicalP)
        try putNumber(.topNSigma, parameters.topNSigma)
        try putNumber(.xtcProbability, parameters.xtcProbability)
        try putNumber(.xtcThreshold, parameters.xtcThreshold)
        try putNumber(.dynamicTemperatureRange, parameters.dynamicTemperatureRange)
        try putNumber(.dynamicTemperatureExponent, parameters.dynamicTemperatureExponent)
        try putNumber(.repeatPenalty, parameters.repeatPenalty)
        try putNumber(.frequencyPenalty, parameters.frequencyPenalty)
        try putNumber(.presencePenalty, parameters.presencePenalty)
        try putInteger(.penaltyWindow, parameters.penaltyWindow)
        try putNumber(.dryMultiplier, parameters.dryMultiplier)
        try putNumber(.dryBase, parameters.dryBase)
        try putInteger(.dryAllowedLength, parameters.dryAllowedLength)
        try putInteger(.dryWindow, parameters.dryWindow)
        try putBreakers(parameters.dryBreakers)
        try putInteger(.mirostat, parameters.mirostat)
        try putNumber(.mirostatTau, parameters.mirostatTau)
        try putNumber(.mirostatEta, parameters.mirostatEta)
        try putBiases(parameters.logitBias)
        try putInteger(.ignoreEndOfGeneration, parameters.ignoreEndOfGeneration ? 1 : 0 as UInt8)
        if let grammar = sampling.grammar { try putGrammar(grammar) }
        if let pooling = sampling.pooling { try putInteger(.pooling, pooling.code) }
        if let thinking = sampling.thinking { try putThinking(thinking) }
        if let samplers = parameters.samplers { try putSamplers(samplers) }
    }

    private mutating func putFieldHead(_ field: SamplingField, _ length: Int) throws(WireError) {
        guard length < 1 << 24 else {
            throw .limitExceeded(field: "sampling.\(field)", value: length, limit: 1 << 24 - 1)
        }
        try put(UInt32(field.rawValue) | UInt32(truncatingIfNeeded: length) << 8)
    }

    private mutating func putNumber(_ field: SamplingField, _ value: Float) throws(WireError) {
        try putFieldHead(field, 4)
        try put(value)
    }

    private mutating func putInteger<Value: FixedWidthInteger & BitwiseCopyable>(
        _ field: SamplingField, _ value: Value
    ) throws(WireError) {
        try putFieldHead(field, MemoryLayout<Value>.size)
        try put(value)
    }

    private mutating func putBreakers(_ breakers: [String]) throws(WireError) {
        try bound(breakers.count, "sampling.dryBreakers", limit: Limits.dryBreakers)
        try putFieldHead(.dryBreakers, breakers.reduce(2) { $0 + 2 + $1.utf8.count })
        try put16(breakers.count, "sampling.dryBreakers")
        for breaker in breakers {
            try put16(breaker.utf8.count, "sampling.dryBreaker", limit: Limits.dryBreakerBytes)
            try putText(breaker)
        }
    }

    private mutating func putBiases(_ biases: [LogitBias]) throws(WireError) {
        try bound(biases.count, "sampling.logitBias", limit: Limits.logitBiases)
        try putFieldHead(.logitBias, 8 * biases.count)
        for bias in biases {
            try put(bias.token)
            try put(bias.bias)
        }
    }

    private mutating func putGrammar(_ grammar: LaneGrammar) throws(WireError) {
        try bound(grammar.text.utf8.count, "sampling.grammarText", limit: Limits.grammarBytes)
        try putFieldHead(.grammarText, grammar.text.utf8.count)
        try putText(grammar.text)
        if grammar.promptTail != 0 { try putInteger(.grammarPromptTail, grammar.promptTail) }
        guard let triggers = grammar.triggers else { return }
        try bound(triggers.count, "sampling.grammarTriggers", limit: Limits.triggers)
        let length = triggers.reduce(2) { length, trigger in
            switch trigger {
            case .pattern(let pattern): length + 5 + pattern.utf8.count
            case .token: length + 5
            }
        }
        try putFieldHead(.grammarTriggers, length)
        try put16(triggers.count, "sampling.grammarTriggers")
        for trigger in triggers {
            switch trigger {
            case .pattern(let pattern):
                try put(UInt8(1))
                try put32(pattern.utf8.count, "sampling.trigger.pattern", limit: Limits.patternBytes)
                try putText(pattern)
            case .token(let token):
                try put(UInt8(2))
                try put(token)
            }
        }
    }

    private mutating func putThinking(_ thinking: LaneThinking) throws(WireError) {
        try bound(thinking.ends.count, "sampling.thinking.ends", limit: Limits.thinkingEnds)
        try bound(thinking.closings.count, "sampling.thinking.closings", limit: Limits.thinkingMarkBytes)
        let texts = [thinking.start] + thinking.ends
        try putFieldHead(
            .thinking,
            9 + texts.reduce(0) { $0 + 2 + $1.utf8.count } + thinking.closings.reduce(0) { $0 + 2 + 4 * $1.count })
        try put(thinking.budget ?? -1)
        try put(UInt8(thinking.isOpen ? 1 : 0))
        try put16(thinking.ends.count, "sampling.thinking.ends")
        for text in texts {
            try put16(text.utf8.count, "sampling.thinking.mark", limit: Limits.thinkingMarkBytes)
            try putText(text)
        }
        try put16(thinking.closings.count, "sampling.thinking.closings")
        for closing in thinking.closings {
            try put16(closing.count, "sampling.thinking.closing", limit: Limits.thinkingMarkBytes)
            for token in closing { try put(token) }
        }
    }

    private mutating func putSamplers(_ samplers: [Sampler]) throws(WireError) {
        try bound(samplers.count, "sampling.samplers", limit: Sampler.allCases.count)
        try putFieldHead(.samplers, samplers.count)
        for sampler in samplers { try put(sampler.code) }
    }

    private func bound(_ value: Int, _ field: String, limit: Int) throws(WireError) {
        guard value <= limit else { throw .limitExceeded(field: field, value: value, limit: limit) }
    }
}

extension ByteReader {
    /// The field list of an `open` operation, up to `end`.
    mutating func laneSampling(_ bytes: RawSpan, end: Int) throws(WireError) -> LaneSampling {
        var sampling = LaneSampling(parameters: SamplingParameters(), promptLength: 0)
        var seen: UInt64 = 0
        while offset < end {
            let head = try u32(bytes, "sampling.field")
            let tag = UInt8(truncatingIfNeeded: head)
            let length = Int(head >> 8)
            guard length <= end - offset else {
                throw .truncated(field: "sampling.field", offset: offset, needed: length, available: end - offset)
            }
            guard let field = SamplingField(rawValue: tag) else {
                guard tag >= SamplingField.firstOptionalTag else {
                    throw .invalidValue(
                        field: "sampling.field", offset: offset - 4, value: Int(tag),
                        allowed: "1 … \(SamplingField.allCases.count), or \(SamplingField.firstOptionalTag) and above")
                }
                try skip(length, "sampling.field")
                continue
            }
            let bit = UInt64(1) << UInt64(tag)
            guard seen & bit == 0 else { throw .fieldCount(field: "sampling.\(field)", value: 2, expected: 1) }
            seen |= bit
            let fieldEnd = offset + length
            try readField(field, bytes, length: length, into: &sampling)
            guard offset == fieldEnd else {
                throw .lengthMismatch(
                    field: "sampling.\(field)", value: length, expected: length + offset - fieldEnd)
            }
        }
        guard offset == end else {
            throw .truncated(field: "sampling.field", offset: end, needed: offset - end, available: 0)
        }
        for field in SamplingField.allCases where field.isRequired && seen & (1 << UInt64(field.rawValue)) == 0 {
            throw .fieldCount(field: "sampling.\(field)", value: 0, expected: 1)
        }
        return sampling
    }

    private mutating func readField(
        _ field: SamplingField, _ bytes: RawSpan, length: Int, into sampling: inout LaneSampling
    ) throws(WireError) {
        let name = "sampling.field"
        switch field {
        case .promptLength: sampling.promptLength = try i32(bytes, name)
        case .topLogprobs:
            sampling.topLogprobs = try count(bytes, "sampling.topLogprobs", limit: Limits.alternatives)
        case .seed: sampling.parameters.seed = try u64(bytes, name)
        case .temperature: sampling.parameters.temperature = try f32(bytes, name)
        case .topP: sampling.parameters.topP = try f32(bytes, name)
        case .topK: sampling.parameters.topK = try i32(bytes, name)
        case .minP: sampling.parameters.minP = try f32(bytes, name)
        case .typicalP: sampling.parameters.typicalP = try f32(bytes, name)
        case .topNSigma: sampling.parameters.topNSigma = try f32(bytes, name)
        case .xtcProbability: sampling.parameters.xtcProbability = try f32(bytes, name)
        case .xtcThreshold: sampling.parameters.xtcThreshold = try f32(bytes, name)
        case .dynamicTemperatureRange: sampling.parameters.dynamicTemperatureRange = try f32(bytes, name)
        case .dynamicTemperatureExponent: sampling.parameters.dynamicTemperatureExponent = try f32(bytes, name)
        case .repeatPenalty: sampling.parameters.repeatPenalty = try f32(bytes, name)
        case .frequencyPenalty: sampling.parameters.frequencyPenalty = try f32(bytes, name)
        case .presencePenalty: sampling.parameters.presencePenalty = try f32(bytes, name)
        case .penaltyWindow: sampling.parameters.penaltyWindow = try i32(bytes, name)
        case .dryMultiplier: sampling.parameters.dryMultiplier = try f32(bytes, name)
        case .dryBase: sampling.parameters.dryBase = try f32(bytes, name)
        case .dryAllowedLength: sampling.parameters.dryAllowedLength = try i32(bytes, name)
        case .dryWindow: sampling.parameters.dryWindow = try i32(bytes, name)
        case .dryBreakers: sampling.parameters.dryBreakers = try breakers(bytes)
        case .mirostat: sampling.parameters.mirostat = try i32(bytes, name)
        case .mirostatTau: sampling.parameters.mirostatTau = try f32(bytes, name)
        case .mirostatEta: sampling.parameters.mirostatEta = try f32(bytes, name)
        case .logitBias: sampling.parameters.logitBias = try biases(bytes, length: length)
        case .ignoreEndOfGeneration:
            sampling.parameters.ignoreEndOfGeneration = try flag(bytes, "sampling.ignoreEndOfGeneration")
        case .grammarText:
            guard length <= Limits.grammarBytes else {
                throw .limitExceeded(field: "sampling.grammarText", value: length, limit: Limits.grammarBytes)
            }
            let text = try text(bytes, count: length, "sampling.grammarText")
            sampling.grammar = LaneGrammar(text: text)
        case .grammarTriggers:
            guard sampling.grammar != nil else {
                throw .fieldCount(field: "sampling.grammarText", value: 0, expected: 1)
            }
            sampling.grammar?.triggers = try triggers(bytes)
        case .grammarPromptTail:
            guard sampling.grammar != nil else {
                throw .fieldCount(field: "sampling.grammarText", value: 0, expected: 1)
            }
            let tail = try i32(bytes, name)
            guard tail > 0 else {
                throw .invalidValue(
                    field: "sampling.grammarPromptTail", offset: offset - 4, value: Int(tail), allowed: "1 and above")
            }
            sampling.grammar?.promptTail = tail
        case .pooling:
            let code = try u8(bytes, name)
            guard let pooling = Pooling(code: code) else {
                throw .invalidValue(
                    field: "sampling.pooling", offset: offset - 1, value: Int(code), allowed: "1 … 3")
            }
            sampling.pooling = pooling
        case .thinking:
            sampling.thinking = try thinking(bytes)
        case .samplers: sampling.parameters.samplers = try samplers(bytes, count: length)
        }
    }

    /// A u8 that is 0 or 1.
    mutating func flag(_ bytes: RawSpan, _ field: String) throws(WireError) -> Bool {
        let value = try u8(bytes, field)
        guard value <= 1 else {
            throw .invalidValue(field: field, offset: offset - 1, value: Int(value), allowed: "0 or 1")
        }
        return value == 1
    }

    private mutating func thinking(_ bytes: RawSpan) throws(WireError) -> LaneThinking {
        let budget = try i32(bytes, "sampling.thinking.budget")
        guard budget >= -1 else {
            throw .invalidValue(
                field: "sampling.thinking.budget", offset: offset - 4, value: Int(budget), allowed: "-1 and above")
        }
        let isOpen = try flag(bytes, "sampling.thinking.isOpen")
        let endCount = try shortCount(bytes, "sampling.thinking.ends", limit: Limits.thinkingEnds)
        var texts: [String] = []
        for _ in 0...endCount {
            let length = try shortCount(bytes, "sampling.thinking.mark", limit: Limits.thinkingMarkBytes)
            texts.append(try text(bytes, count: length, "sampling.thinking.mark"))
        }
        let closingCount = try shortCount(bytes, "sampling.thinking.closings", limit: Limits.thinkingMarkBytes)
        var closings: [[Token]] = []
        for _ in 0..<closingCount {
            let count = try shortCount(bytes, "sampling.thinking.closing", limit: Limits.thinkingMarkBytes)
            var closing: [Token] = []
            for _ in 0..<count { closing.append(try i32(bytes, "sampling.thinking.token")) }
            closings.append(closing)
        }
        return LaneThinking(
            start: texts[0], ends: Array(texts.dropFirst()), closings: closings, isOpen: isOpen,
            budget: budget < 0 ? nil : budget)
    }

    private mutating func breakers(_ bytes: RawSpan) throws(WireError) -> [String] {
        let count = try shortCount(bytes, "sampling.dryBreakers", limit: Limits.dryBreakers)
        try require(2 * count, "sampling.dryBreakers")
        var breakers: [String] = []
        breakers.reserveCapacity(count)
        for _ in 0..<count {
            let length = try shortCount(bytes, "sampling.dryBreaker", limit: Limits.dryBreakerBytes)
            breakers.append(try text(bytes, count: length, "sampling.dryBreaker"))
        }
        return breakers
    }

    private mutating func biases(_ bytes: RawSpan, length: Int) throws(WireError) -> [LogitBias] {
        let count = length / 8
        guard count <= Limits.logitBiases else {
            throw .limitExceeded(field: "sampling.logitBias", value: count, limit: Limits.logitBiases)
        }
        var biases: [LogitBias] = []
        biases.reserveCapacity(count)
        for _ in 0..<count {
            let token = try i32(bytes, "sampling.logitBias.token")
            biases.append(LogitBias(token: token, bias: try f32(bytes, "sampling.logitBias.bias")))
        }
        return biases
    }

    private mutating func samplers(_ bytes: RawSpan, count: Int) throws(WireError) -> [Sampler] {
        guard count <= Sampler.allCases.count else {
            throw .limitExceeded(field: "sampling.samplers", value: count, limit: Sampler.allCases.count)
        }
        var samplers: [Sampler] = []
        for _ in 0..<count {
            let code = try u8(bytes, "sampling.samplers")
            guard let sampler = Sampler.allCases.first(where: { $0.code == code }) else {
                throw .invalidValue(
                    field: "sampling.samplers", offset: offset - 1, value: Int(code),
                    allowed: "1 … \(Sampler.allCases.count)")
            }
            samplers.append(sampler)
        }
        return samplers
    }

    private mutating func triggers(_ bytes: RawSpan) throws(WireError) -> [LaneGrammar.Trigger] {
        let count = try shortCount(bytes, "sampling.grammarTriggers", limit: Limits.triggers)
        try require(5 * count, "sampling.grammarTriggers")
        var triggers: [LaneGrammar.Trigger] = []
        triggers.reserveCapacity(count)
        for _ in 0..<count {
            let kind = try u8(bytes, "sampling.trigger.kind")
            switch kind {
            case 1:
                let length = try self.count(bytes, "sampling.trigger.pattern", limit: Limits.patternBytes)
                triggers.append(.pattern(try text(bytes, count: length, "sampling.trigger.pattern")))
            case 2:
                triggers.append(.token(try i32(bytes, "sampling.trigger.token")))
            default:
                throw .invalidValue(
                    field: "sampling.trigger.kind", offset: offset - 1, value: Int(kind), allowed: "1 or 2")
            }
        }
        return triggers
    }
}

extension Pooling {
    /// Number of the pooling on the wire.
    fileprivate var code: UInt8 {
        switch self {
        case .first: 1
        case .last: 2
        case .mean: 3
        }
    }

    fileprivate init?(code: UInt8) {
        switch code {
        case 1: self = .first
        case 2: self = .last
        case 3: self = .mean
        default: return nil
        }
    }
}

extension Sampler {
    /// Number of the sampler on the wire.
    fileprivate var code: UInt8 {
        switch self {
        case .penalties: 1
        case .dry: 2
        case .topNSigma: 3
        case .topK: 4
        case .typicalP: 5
        case .topP: 6
        case .minP: 7
        case .xtc: 8
        case .temperature: 9
        }
    }
}
