import Vocabulary

/// How tokens are chosen: OpenAI's fields and those llama.cpp, vLLM and Ollama users add to them.
enum SamplingFields {
    private static let int32Max = Int64(Int32.max)

    private static let samplerNames = Sampler.allCases.map(\.rawValue)

    static let rules: [FieldRule] = basic + truncation + penalties + special

    private static let basic: [FieldRule] = [
        .decimal("temperature", \.request.sampling.temperature, 0...Limits.temperature),
        .decimal("top_p", \.request.sampling.topP, 0...1),
        .decimal("dynatemp_range", \.request.sampling.dynamicTemperatureRange, 0...100),
        .decimal("dynatemp_exponent", \.request.sampling.dynamicTemperatureExponent, 0...100),
        FieldRule("seed", .honoured, "any 64-bit integer; -1 draws a fresh seed, as llama.cpp's clients mean it") {
            (draft, field) throws(DialectError) in
            let seed = try field.integer(in: .min ... .max)
            draft.request.sampling.seed = seed == -1 ? nil : UInt64(bitPattern: seed)
        },
        FieldRule("logit_bias", .honoured, "token id → -100 … 100, false bans; also as [[id, bias], …]") {
            (draft, field) throws(DialectError) in
            draft.request.sampling.logitBias = try logitBias(field)
        },
        FieldRule("ignore_eos", .honoured, "") { (draft, field) throws(DialectError) in
            draft.request.sampling.ignoreEndOfGeneration = try field.bool()
        },
    ]

    private static let truncation: [FieldRule] = [
        FieldRule("top_k", .honoured, "-1 … 2147483647; 0 and -1 are off") { (draft, field) throws(DialectError) in
            draft.request.sampling.topK = Int32(clamping: max(0, try field.integer(in: -1...int32Max)))
        },
        .decimal("min_p", \.request.sampling.minP, 0...1),
        .decimal("typical_p", \.request.sampling.typicalP, 0...1),
        .decimal("typ_p", \.request.sampling.typicalP, 0...1, .mapped, note: "llama.cpp's other name of typical_p"),
        .decimal("top_n_sigma", \.request.sampling.topNSigma, -1...100, note: "negative is off"),
        .decimal("xtc_probability", \.request.sampling.xtcProbability, 0...1),
        .decimal("xtc_threshold", \.request.sampling.xtcThreshold, 0...1),
        .integer("mirostat", \.request.sampling.mirostat, 0...2),
        .decimal("mirostat_tau", \.request.sampling.mirostatTau, 0...100),
        .decimal("mirostat_eta", \.request.sampling.mirostatEta, 0...10),
    ]

    private static let penalties: [FieldRule] = [
        .decimal("presence_penalty", \.request.sampling.presencePenalty, -2...2),
        .decimal("frequency_penalty", \.request.sampling.frequencyPenalty, -2...2),
        .decimal("repeat_penalty", \.request.sampling.repeatPenalty, 0.01...10),
        .decimal(
            "repetition_penalty", \.request.sampling.repeatPenalty, 0.01...10, .mapped,
            note: "vLLM's name of repeat_penalty"),
        .integer("repeat_last_n", \.request.sampling.penaltyWindow, -1...int32Max, note: "-1 is the whole context"),
        .decimal("dry_multiplier", \.request.sampling.dryMultiplier, 0...100),
        .decimal("dry_base", \.request.sampling.dryBase, 1...100),
        .integer("dry_allowed_length", \.request.sampling.dryAllowedLength, 0...int32Max),
        .integer("dry_penalty_last_n", \.request.sampling.dryWindow, -1...int32Max, note: "-1 is the whole context"),
        FieldRule("dry_sequence_breakers", .honoured, "at most 16 texts of at most 64 bytes") {
            (draft, field) throws(DialectError) in
            var breakers: [String] = []
            for element in try field.elements(atMost: Limits.dryBreakers) {
                breakers.append(try element.string(atMost: Limits.dryBreakerBytes))
            }
            draft.request.sampling.dryBreakers = breakers
        },
    ]

    private static let special: [FieldRule] = [
        FieldRule(
            "samplers", .honoured,
            "those at work, in their order, none twice; all by default: \(samplerNames.joined(separator: ", "))"
        ) { (draft, field) throws(DialectError) in
            let order = try samplers(field)
            // The usual order is what stages of every release have.
            draft.request.sampling.samplers = order == Sampler.allCases ? nil : order
        },
        FieldRule("adaptive_target", .refused, "only negative, which is off") { (draft, field) throws(DialectError) in
            guard try field.number(in: -.greatestFiniteMagnitude...1) < 0 else {
                throw .unsupportedValue(
                    field: "adaptive_target", value: field.node.text, remedy: "leave it out or send -1")
            }
        },
        .noted("adaptive_decay", "adaptive sampling is off"),
        .noted("min_keep", "every sampler keeps at least one token"),
        .noted("backend_sampling", "where sampling runs does not change the answer"),
        .refused("min_tokens", "use logit_bias on the end token, or ignore_eos with max_tokens"),
        .refused("bad_words", "use logit_bias"),
        .refused("allowed_token_ids", "use a grammar"),
        .refused("use_beam_search", "leave it out"),
        .refused("length_penalty", "leave it out"),
        .refused("lora", "deploy the adapted model under its own name"),
    ]

    private static func samplers(_ field: Field) throws(DialectError) -> [Sampler] {
        var order: [Sampler] = []
        for element in try field.elements(atMost: Sampler.allCases.count) {
            let name = try element.word(samplerNames)
            guard let sampler = Sampler(rawValue: name), !order.contains(sampler) else {
                throw .invalidValue(field: element.name, value: "'\(name)'", expected: "every sampler once at most")
            }
            order.append(sampler)
        }
        return order
    }

    // MARK: logit_bias

    private static func logitBias(_ field: Field) throws(DialectError) -> [LogitBias] {
        var biases: [LogitBias] = []
        if field.node.array != nil {
            for pair in try field.elements(atMost: Limits.logitBiases) {
                let parts = try pair.elements(atMost: 2)
                guard parts.count == 2 else { throw .tooFew(field: pair.name, count: parts.count, minimum: 2) }
                let token = try parts[0].integer(in: 0...int32Max)
                biases.append(LogitBias(token: Token(token), bias: try bias(parts[1])))
            }
            return biases
        }
        try field.requireObject()
        let members = field.members
        guard members.count <= Limits.logitBiases else {
            throw .tooMany(field: field.name, count: members.count, limit: Limits.logitBiases)
        }
        for (key, value) in members {
            guard let token = Token(key), token >= 0, String(token) == key else {
                throw .invalidValue(
                    field: field.name, value: "the key '\(clipped(key))'", expected: "a token id, 0 … 2147483647")
            }
            biases.append(LogitBias(token: token, bias: try bias(value)))
        }
        return biases
    }

    private static func bias(_ field: Field) throws(DialectError) -> Float {
        field.node.bool == false ? -.infinity : Float(try field.number(in: -100...100))
    }
}
