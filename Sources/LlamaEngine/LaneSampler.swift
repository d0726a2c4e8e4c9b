import CLlama
import CLlamaExtras
import Serving
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The sampler of one lane: llama.cpp's samplers in the request's order, then a draw that depends on nothing but
/// (seed, position in the answer).
///
/// It owns the lane's token history for penalties and grammar. History is fed by position, so a replay of the same
/// tokens (recompute after preemption, failover) rebuilds the same state.
@safe final class LaneSampler {
    private let sampling: LaneSampling
    private let seed: UInt64
    private let stages: [SamplerStage]
    private let grammar: SamplerStage?
    private let vocabulary: OpaquePointer
    private var meter: ThinkingMeter?
    /// The lane holds what its grammar does not take. The library ends the process when such a grammar is asked again.
    private var hasLeftGrammar = false
    /// Logits that only a bias changes before the largest is taken; nil when more samplers are at work.
    private let greedyBiases: [llama_logit_bias]?
    /// The tokens accepted so far, by position.
    private(set) var history: [Token] = []

    /// Builds the chain.
    ///
    /// **Throws:** `failed` when the grammar does not compile (the entry stage has compiled it before, so this means
    /// that the stages' vocabularies differ).
    init(_ sampling: LaneSampling, model: borrowing LlamaModel) throws(EngineError) {
        self.sampling = sampling
        seed = sampling.parameters.seed ?? 0
        unsafe vocabulary = unsafe llama_model_get_vocab(model.handle)
        meter = sampling.thinking.map { ThinkingMeter($0) }
        let biases = unsafe SamplerStage.biases(for: sampling.parameters, vocabulary: vocabulary)
        stages = unsafe SamplerStage.chain(
            for: sampling.parameters.withWindows(of: model.trainedContext), biases: biases, vocabulary: vocabulary)
        let isPlain = sampling.parameters.isGreedy && sampling.grammar == nil
        greedyBiases = isPlain && stages.count == (biases.isEmpty ? 0 : 1) ? biases : nil
        if let text = sampling.grammar {
            LlamaLibrary.clearLog()
            guard let made = unsafe SamplerStage(grammar: text, vocabulary: vocabulary) else {
                throw .failed(
                    operation: "compiling the grammar", code: -1,
                    reason: LlamaLibrary.reason(or: "it is not valid GBNF"))
            }
            grammar = made
        } else {
            grammar = nil
        }
    }

    /// Takes a token of the prompt or of a replayed answer into the history. Positions already known are ignored.
    func accept(_ token: Token, at position: Int32) {
        guard position == history.count else { return }
        history.append(token)
        // A row of an image is no word that could be repeated.
        guard token >= 0 else { return }
        for stage in stages { stage.accept(token) }
        let wasAsleep = sleepsWhileThinking
        if meter != nil, position >= sampling.promptLength {
            meter?.push(token, bytes: unsafe vocabulary.text(of: token))
        }
        guard position >= sampling.promptLength - (sampling.grammar?.promptTail ?? 0), !sleepsWhileThinking else {
            return
        }
        for token in wasAsleep ? endOfThinking : [token] { advanceGrammar(by: token) }
    }

    /// What is thought is no call, whatever it looks like: a grammar that waits for its trigger does not see it.
    private var sleepsWhileThinking: Bool { sampling.grammar?.triggers != nil && meter?.isThinking == true }

    /// The newest tokens, back to where the mark begins that ended thinking: the mark itself may be a trigger.
    private var endOfThinking: [Token] {
        let marks = (sampling.thinking?.ends ?? []).map { Array($0.utf8) }
        var text: [UInt8] = []
        var start = history.count
        while start > Int(sampling.promptLength), history.count - start < Limits.thinkingMarkBytes {
            start -= 1
            text = unsafe vocabulary.text(of: history[start]) + text
            let isWhole = marks.contains { mark in text.indices.contains { text[$0...].starts(with: mark) } }
            if isWhole { return Array(history[start...]) }
        }
        return Array(history.suffix(1))
    }

    private func advanceGrammar(by token: Token) {
        guard let grammar, !hasLeftGrammar else { return }
        // An end that the grammar does not take would end the process; of other tokens the library says so.
        let isEnd = unsafe llama_vocab_is_eog(vocabulary, token)
        if isEnd && !grammar.allows(token) || !grammar.accept(token) { hasLeftGrammar = true }
    }

    /// Whether the grammar, if there is one at work, takes the token next.
    private func allows(_ token: Token) -> Bool {
        guard let grammar, !sleepsWhileThinking else { return true }
        return grammar.allows(token)
    }

    /// Where the answer begins.
    var promptLength: Int32 { sampling.promptLength }

    /// Whether the token's row means that the lane was trimmed: the sampler has seen other tokens from there on. The
    /// newest token it has seen may come as a row once more, because it was sampled here.
    func contradicts(_ token: Token, at position: Int32) -> Bool {
        guard position < history.count else { return false }
        return position < history.count - 1 || history[Int(position)] != token
    }

    /// A sampler that has seen only the positions before `position`.
    ///
    /// **Throws:** as the initialiser.
    func trimmed(to position: Int32, model: borrowing LlamaModel) throws(EngineError) -> LaneSampler {
        let sampler = try LaneSampler(sampling, model: model)
        sampler.adopt(history.prefix(Int(max(0, position))))
        return sampler
    }

    /// Takes over the history of the lane this one was copied from.
    func adopt(_ tokens: ArraySlice<Token>) {
        for (position, token) in tokens.enumerated() { accept(token, at: Int32(position)) }
    }

    /// Chooses the token at `position` from the logits and takes it into the history.
    ///
    /// A bound of thinking gives way to a grammar: where the grammar does not take the end of thinking, nothing the
    /// answer could go on with would be left.
    ///
    /// **Shape:** `logits` has one entry per token, the same after the call; `candidates` is scratch of the same size.
    /// **Throws:** `nothingToChoose` when the grammar and the request's own bans leave no token; `leftGrammar` when the
    /// lane holds what its grammar does not take.
    func sample(
        _ logits: UnsafeMutableBufferPointer<Float>, at position: Int32, candidates: inout CandidateBuffer
    ) throws(LaneFailure) -> Token {
        guard !hasLeftGrammar else { throw .leftGrammar }
        var token: Token
        if let forced = meter?.forced, allows(forced) {
            token = forced
        } else if let greedyBiases {
            token = unsafe Self.maximum(of: logits, greedyBiases)
        } else {
            token = try unsafe choose(UnsafeBufferPointer(logits), draw: draw(at: position), candidates: &candidates)
        }
        if let end = meter?.correction(of: token, bytes: unsafe vocabulary.text(of: token)), end != token, allows(end) {
            token = end
        }
        accept(token, at: position)
        return token
    }

    /// What decides at a position: it depends on nothing but the seed and the position in the answer.
    private func draw(at position: Int32) -> Double {
        SeededRandom.uniform(seed: seed, position: UInt64(clamping: Int(position) - Int(sampling.promptLength)))
    }

    /// The first largest logit after the biases, which are taken back afterwards.
    private static func maximum(
        of logits: UnsafeMutableBufferPointer<Float>, _ biases: [llama_logit_bias]
    ) -> Token {
        let raw = biases.map { unsafe logits[Int($0.token)] }
        for bias in biases { unsafe logits[Int(bias.token)] += bias.bias }
        defer { for (bias, value) in zip(biases, raw) { unsafe logits[Int(bias.token)] = value } }
        return UnsafeBufferPointer(logits).indexOfMaximum
    }

    /// What is likely to be chosen at `position` from logits that are not the model's own, and how likely it is to
    /// them. Nothing is taken into the history; a grammar, which costs more to ask than a guess is worth, is not asked.
    ///
    /// **Shape:** `logits` has one entry per token, the same after the call.
    func guess(
        _ logits: UnsafeMutableBufferPointer<Float>, at position: Int32, candidates: inout CandidateBuffer
    ) -> TokenGuess {
        let token: Token
        if let greedyBiases {
            token = unsafe Self.maximum(of: logits, greedyBiases)
        } else if sampling.parameters.mirostat != 0 {
            // It learns from whatever it chooses from.
            token = unsafe Self.maximum(of: logits, [])
        } else {
            unsafe candidates.fill(UnsafeBufferPointer(logits))
            let draw = draw(at: position)
            apply(draw: draw, &candidates)
            token = candidates.draw(draw, greedy: sampling.parameters.isGreedy)
        }
        let logits = UnsafeBufferPointer(logits)
        return unsafe TokenGuess(token: token, probability: min(1, exp(logits[Int(token)] - logits.logSumExp)))
    }

    /// Log-probabilities from the raw logits, when the lane asked for them.
    func logprob(of token: Token, _ logits: UnsafeBufferPointer<Float>) -> TokenLogprob? {
        guard let count = sampling.topLogprobs else { return nil }
        let shift = unsafe logits.logSumExp
        let top = unsafe logits.largest(count).map {
            unsafe TokenLogprob.Candidate(token: $0, bytes: [], logprob: logits[Int($0)] - shift)
        }
        return unsafe TokenLogprob(
            chosen: .init(token: token, bytes: [], logprob: logits[Int(token)] - shift), top: top)
    }

    // The grammar is costly over a whole vocabulary, so as in llama.cpp's own server it first only judges the token
    // that the chain chose, and constrains the candidates when that one is not allowed.
    private func choose(
        _ logits: UnsafeBufferPointer<Float>, draw: Double, candidates: inout CandidateBuffer
    ) throws(LaneFailure) -> Token {
        unsafe candidates.fill(logits)
        apply(draw: draw, &candidates)
        let first = candidates.draw(draw, greedy: sampling.parameters.isGreedy)
        guard let grammar, !allows(first) else { return first }
        unsafe candidates.fill(logits)
        guard grammar.apply(&candidates) else { throw .leftGrammar }
        apply(draw: draw, &candidates)
        guard candidates.hasChoice else { throw .nothingToChoose }
        return candidates.draw(draw, greedy: sampling.parameters.isGreedy)
    }

    private func apply(draw: Double, _ candidates: inout CandidateBuffer) {
        for stage in stages {
            // XTC tosses a coin of its own; here the coin is counter-based like everything else.
            if stage.isXTC, !tossesXTC(draw) { continue }
            stage.apply(&candidates)
        }
    }

    private func tossesXTC(_ draw: Double) -> Bool {
        SeededRandom.uniform(seed: ~seed, position: draw.bitPattern) < Double(sampling.parameters.xtcProbability)
    }
}

extension SamplingParameters {
    /// The same with windows of -1, "the whole context", spelled out, because llama.cpp's samplers take them as off;
    /// and no window longer than the context, because the samplers reserve memory for all of it.
    fileprivate func withWindows(of context: Int) -> SamplingParameters {
        var explicit = self
        let most = Int32(clamping: context)
        explicit.penaltyWindow = penaltyWindow < 0 ? most : min(penaltyWindow, most)
        explicit.dryWindow = dryWindow < 0 ? most : min(dryWindow, most)
        return explicit
    }
}

/// Owner of one llama.cpp sampler.
@safe final class SamplerStage {
    private let handle: UnsafeMutablePointer<llama_sampler>
    let isXTC: Bool

    private init?(_ handle: UnsafeMutablePointer<llama_sampler>?, isXTC: Bool = false) {
        guard let handle = unsafe handle else { return nil }
        unsafe self.handle = unsafe handle
        self.isXTC = isXTC
    }

    deinit { unsafe llama_sampler_free(handle) }

    /// Compiles a grammar, or answers nil when llama.cpp refuses it.
    convenience init?(grammar: LaneGrammar, vocabulary: OpaquePointer) {
        guard let triggers = grammar.triggers else {
            unsafe self.init(extras_grammar_new(vocabulary, grammar.text, nil, 0, nil, 0, false))
            return
        }
        var tokens: [llama_token] = []
        var patterns: [String] = []
        for trigger in triggers {
            switch trigger {
            case .token(let token): tokens.append(token)
            case .pattern(let pattern): patterns.append(pattern)
            }
        }
        unsafe self.init(
            withCStrings(patterns) { pointers, count in
                unsafe extras_grammar_new(vocabulary, grammar.text, pointers, count, tokens, tokens.count, true)
            })
    }

    /// Takes the next token; false when the sampler cannot, and MUST NOT be asked again.
    @discardableResult
    func accept(_ token: Token) -> Bool { unsafe extras_sampler_accept(handle, token) }

    /// Judges the candidates; false when the sampler cannot.
    @discardableResult
    func apply(_ candidates: inout CandidateBuffer) -> Bool {
        unsafe candidates.withArray { array in unsafe extras_sampler_apply(handle, array) }
    }

    /// Whether a grammar takes the token next.
    func allows(_ token: Token) -> Bool {
        var single = CandidateBuffer(vocabularySize: 1)
        single.fill(single: token)
        return apply(&single) && single.best > -.infinity
    }

    /// The request's biases and the samplers its parameters switch on, in its order.
    static func chain(
        for parameters: SamplingParameters, biases: [llama_logit_bias], vocabulary: OpaquePointer
    ) -> [SamplerStage] {
        var made: [SamplerStage?] = []
        let tokenCount = unsafe llama_vocab_n_tokens(vocabulary)
        if !biases.isEmpty {
            made.append(unsafe SamplerStage(llama_sampler_init_logit_bias(tokenCount, Int32(biases.count), biases)))
        }
        for sampler in parameters.effectiveSamplers {
            made.append(unsafe stage(sampler, parameters, vocabulary))
        }
        guard !parameters.isGreedy else { return made.compactMap { $0 } }
        let (seed, p) = (UInt32(truncatingIfNeeded: parameters.seed ?? 0), parameters)
        if p.mirostat == 1 {
            made.append(
                unsafe SamplerStage(llama_sampler_init_mirostat(tokenCount, seed, p.mirostatTau, p.mirostatEta, 100)))
        } else if p.mirostat == 2 {
            made.append(unsafe SamplerStage(llama_sampler_init_mirostat_v2(seed, p.mirostatTau, p.mirostatEta)))
        }
        return made.compactMap { $0 }
    }

    /// One sampler of the chain; nil where the parameters leave it off.
    private static func stage(
        _ sampler: Sampler, _ p: SamplingParameters, _ vocabulary: OpaquePointer
    ) -> SamplerStage? {
        switch sampler {
        case .penalties:
            guard p.penaltyWindow != 0, p.repeatPenalty != 1 || p.frequencyPenalty != 0 || p.presencePenalty != 0 else {
                return nil
            }
            return unsafe SamplerStage(
                llama_sampler_init_penalties(
                    llama_vocab_n_tokens(vocabulary), p.penaltyWindow, p.repeatPenalty, p.frequencyPenalty,
                    p.presencePenalty))
        case .dry:
            guard p.dryMultiplier != 0 else { return nil }
            return unsafe withCStrings(p.dryBreakers) { breakers, count in
                unsafe SamplerStage(
                    llama_sampler_init_dry(
                        vocabulary, p.dryMultiplier, p.dryBase, p.dryAllowedLength, p.dryWindow, breakers, count))
            }
        case .topNSigma:
            guard p.topNSigma >= 0 else { return nil }
            return unsafe SamplerStage(llama_sampler_init_top_n_sigma(p.topNSigma))
        case .topK:
            guard p.topK > 0 else { return nil }
            return unsafe SamplerStage(llama_sampler_init_top_k(p.topK))
        case .typicalP:
            guard p.typicalP < 1 else { return nil }
            return unsafe SamplerStage(llama_sampler_init_typical(p.typicalP, 1))
        case .topP:
            guard p.topP < 1 else { return nil }
            return unsafe SamplerStage(llama_sampler_init_top_p(p.topP, 1))
        case .minP:
            guard p.minP > 0 else { return nil }
            return unsafe SamplerStage(llama_sampler_init_min_p(p.minP, 1))
        case .xtc:
            guard p.xtcProbability > 0 else { return nil }
            return unsafe SamplerStage(llama_sampler_init_xtc(1, p.xtcThreshold, 1, 0), isXTC: true)
        case .temperature:
            if p.dynamicTemperatureRange > 0 {
                return unsafe SamplerStage(
                    llama_sampler_init_temp_ext(p.temperature, p.dynamicTemperatureRange, p.dynamicTemperatureExponent))
            }
            guard p.temperature != 1 else { return nil }
            return unsafe SamplerStage(llama_sampler_init_temp(p.temperature))
        }
    }

    /// The request's biases, and a ban of every token that would end the answer when it asks for that.
    static func biases(
        for parameters: SamplingParameters, vocabulary: OpaquePointer
    ) -> [llama_logit_bias] {
        var biases = parameters.logitBias.map { llama_logit_bias(token: $0.token, bias: $0.bias) }
        if parameters.ignoreEndOfGeneration {
            for token in 0..<(unsafe llama_vocab_n_tokens(vocabulary))
            where unsafe llama_vocab_is_eog(vocabulary, token) {
                biases.append(llama_logit_bias(token: token, bias: -.infinity))
            }
        }
        return biases
    }
}

/// Calls `body` with the strings as a C array that lives as long as the call.
func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafeMutablePointer<UnsafePointer<CChar>?>?, Int) -> Result
) -> Result {
    let copies = strings.map { Array($0.utf8CString) }
    let joined = copies.flatMap { $0 }
    return unsafe joined.withUnsafeBufferPointer { bytes in
        var offset = 0
        var pointers: [UnsafePointer<CChar>?] = unsafe copies.map { copy in
            defer { offset += copy.count }
            return unsafe bytes.baseAddress.map { unsafe $0 + offset }
        }
        return unsafe pointers.withUnsafeMutableBufferPointer { unsafe body($0.baseAddress, strings.count) }
    }
}
