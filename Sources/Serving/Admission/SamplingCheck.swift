import Vocabulary

/// Checks every sampling parameter against its documented range, for all dialects in one place.
enum SamplingCheck {
    /// Why the parameters are refused; nil when every one is in range.
    static func refusal(of sampling: SamplingParameters, vocabularySize: Int) -> GenerationError? {
        let numbers: [(name: String, value: Float, range: ClosedRange<Float>)] = [
            ("temperature", sampling.temperature, 0...100),
            ("top_p", sampling.topP, 0...1),
            ("min_p", sampling.minP, 0...1),
            ("typical_p", sampling.typicalP, 0...1),
            ("top_n_sigma", sampling.topNSigma, -1_000...1_000),
            ("xtc_probability", sampling.xtcProbability, 0...1),
            ("xtc_threshold", sampling.xtcThreshold, 0...1),
            ("dynatemp_range", sampling.dynamicTemperatureRange, 0...100),
            ("dynatemp_exponent", sampling.dynamicTemperatureExponent, 0...100),
            ("repeat_penalty", sampling.repeatPenalty, 0.01...100),
            ("frequency_penalty", sampling.frequencyPenalty, -2...2),
            ("presence_penalty", sampling.presencePenalty, -2...2),
            ("dry_multiplier", sampling.dryMultiplier, 0...100),
            ("dry_base", sampling.dryBase, 0...100),
            ("mirostat_tau", sampling.mirostatTau, 0...100),
            ("mirostat_eta", sampling.mirostatEta, 0...100),
        ]
        for number in numbers where !number.range.contains(number.value) {
            let limit = "\(number.range.lowerBound) to \(number.range.upperBound) is allowed"
            return .invalidField(name: number.name, value: "\(number.value)", limit: limit)
        }
        let counts: [(name: String, value: Int32, range: ClosedRange<Int32>)] = [
            ("top_k", sampling.topK, 0...Int32.max),
            ("repeat_last_n", sampling.penaltyWindow, -1...Int32.max),
            ("dry_allowed_length", sampling.dryAllowedLength, 0...Int32.max),
            ("dry_penalty_last_n", sampling.dryWindow, -1...Int32.max),
            ("mirostat", sampling.mirostat, 0...2),
        ]
        for count in counts where !count.range.contains(count.value) {
            let limit = "\(count.range.lowerBound) to \(count.range.upperBound) is allowed"
            return .invalidField(name: count.name, value: "\(count.value)", limit: limit)
        }
        return biasRefusal(sampling.logitBias, vocabularySize: vocabularySize) ?? breakerRefusal(sampling.dryBreakers)
            ?? orderRefusal(sampling.samplers ?? [])
    }

    private static func orderRefusal(_ samplers: [Sampler]) -> GenerationError? {
        guard let twice = samplers.indices.first(where: { samplers[..<$0].contains(samplers[$0]) }) else { return nil }
        return .invalidField(
            name: "samplers", value: "\(samplers[twice].rawValue) twice", limit: "every sampler is named once at most")
    }

    private static func biasRefusal(_ biases: [LogitBias], vocabularySize: Int) -> GenerationError? {
        guard biases.count <= Limits.logitBiases else {
            return .invalidField(
                name: "logit_bias", value: "\(biases.count) entries",
                limit: "at most \(Limits.logitBiases) are allowed")
        }
        for bias in biases {
            guard (0..<vocabularySize).contains(Int(bias.token)) else {
                return .invalidField(
                    name: "logit_bias", value: "token \(bias.token)",
                    limit: "token ids are 0 to \(vocabularySize - 1)")
            }
            guard !bias.bias.isNaN, bias.bias < .infinity else {
                return .invalidField(
                    name: "logit_bias", value: "\(bias.bias)", limit: "a finite number, or -infinity to ban the token")
            }
        }
        return nil
    }

    private static func breakerRefusal(_ breakers: [String]) -> GenerationError? {
        guard breakers.count <= Limits.dryBreakers else {
            return .invalidField(
                name: "dry_sequence_breakers", value: "\(breakers.count) texts",
                limit: "at most \(Limits.dryBreakers) are allowed")
        }
        for breaker in breakers where breaker.utf8.count > Limits.dryBreakerBytes {
            return .invalidField(
                name: "dry_sequence_breakers", value: "\(breaker.utf8.count) bytes",
                limit: "at most \(Limits.dryBreakerBytes) are allowed")
        }
        return nil
    }
}
