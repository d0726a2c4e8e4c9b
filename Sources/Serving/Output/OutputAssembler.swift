package import Vocabulary

/// Makes one choice's answer out of its tokens: whole Unicode scalars, stop texts and tokens, end of generation, length
/// limit, reasoning and tool calls, log-probabilities.
///
/// A function of the tokens alone: after a replay of some the rest gives the same pieces, so an answer can be resumed
/// anywhere.
package struct OutputAssembler: Sendable {
    /// What one token led to.
    package struct Progress: Hashable, Sendable {
        /// The new piece; may be empty.
        package var delta: OutputDelta
        /// Why the answer is over; nil while it goes on.
        package var finish: FinishReason?
    }

    /// A token whose text is not sent yet.
    private struct Unsent {
        /// Bytes of decoded text before the token.
        let start: Int
        /// Bytes of decoded text that must be released before the token's own text is.
        let end: Int
        let logprob: TokenLogprob
    }

    private let choice: Int
    private let tokenLimit: Int
    private let ignoresEndOfGeneration: Bool
    private let stopTokens: Set<Token>
    private var decoder = ScalarDecoder()
    private var stops: StopMatcher
    private var splitter: AnswerSplitter?
    private var meter: ThinkingMeter?
    private let marks: [Token: [UInt8]]
    /// Reasoning by its text, for answers whose marks are not known.
    private var guessedReasoning = 0
    private var decodedBytes = 0
    private var releasedBytes = 0
    private var unsent: [Unsent] = []
    private var tokensSinceGrowth = 0
    /// Tokens no piece has told yet; nil where nobody wants to know.
    private var journal: [Token]?
    /// Text is gathered and not read.
    private var skipsReadings = false
    /// There is text that was not read yet.
    private var hasSkipped = false

    /// Tokens taken so far.
    package private(set) var tokenCount = 0
    /// Tokens that were reasoning, its marks not counted.
    package var reasoningTokens: Int { meter?.count ?? guessedReasoning }
    /// The stop text that was met.
    package private(set) var metStop: String?

    /// Starts an empty answer; `tokenLimit` MUST be at least 1.
    package init(
        request: RequestID, choice: Int, tokenLimit: Int, ignoresEndOfGeneration: Bool, stops: StopMatcher,
        stopTokens: Set<Token> = [], format: AnswerFormat?, thinking: LaneThinking? = nil,
        marks: [Token: [UInt8]] = [:], keepsJournal: Bool = false
    ) {
        self.marks = marks
        meter = thinking.map { ThinkingMeter($0) }
        journal = keepsJournal ? [] : nil
        self.choice = choice
        self.tokenLimit = tokenLimit
        self.ignoresEndOfGeneration = ignoresEndOfGeneration
        self.stops = stops
        self.stopTokens = stopTokens
        splitter = format.map { AnswerSplitter(format: $0, request: request, choice: choice) }
    }

    /// Takes the next token; after `finish` was returned the assembler MUST not be used again.
    package mutating func push(
        _ token: Token, logprob: TokenLogprob?, tokenizer: any Tokenizer, renderer: any PromptRenderer
    ) -> Progress {
        tokenCount += 1
        tokensSinceGrowth += 1
        journal?.append(token)
        if ends(token, tokenizer) {
            return finish(.stop, released: "", renderer: renderer)
        }
        let bytes = marks[token] ?? tokenizer.bytes(of: token)
        meter?.push(token, bytes: bytes)
        let decoded = decoder.push(bytes)
        let start = decodedBytes
        decodedBytes += decoded.utf8.count
        if let logprob {
            let end = decodedBytes + (decoder.keepsBytes ? 1 : 0)
            unsent.append(Unsent(start: start, end: end, logprob: Self.filled(logprob, tokenizer)))
        }
        let (released, met) = stops.push(decoded)
        if let met {
            metStop = met
            return finish(.stop, released: released, renderer: renderer)
        }
        if tokenCount >= tokenLimit { return finish(.length, released: released, renderer: renderer) }
        var delta = OutputDelta(choice: choice)
        if !released.isEmpty { release(released, isPartial: true, renderer: renderer, into: &delta) }
        attachLogprobs(to: &delta)
        tellJournal(in: &delta)
        return Progress(delta: delta)
    }

    /// Whether the token by itself is the end of the answer.
    private func ends(_ token: Token, _ tokenizer: any Tokenizer) -> Bool {
        stopTokens.contains(token) || !ignoresEndOfGeneration && tokenizer.endsGeneration(token)
    }

    /// Prepares for tokens that came together and are pushed one by one next: their text is read once, where it can be.
    package mutating func foresee(
        _ tokens: some Sequence<Token>, tokenizer: any Tokenizer, renderer: any PromptRenderer
    ) {
        guard splitter != nil else { return }
        var (ahead, watch, count) = (decoder, stops, tokenCount)
        var text = ""
        for token in tokens where (0..<tokenizer.vocabularySize).contains(Int(token)) {
            count += 1
            // The end of an answer is read by itself.
            guard count < tokenLimit, !ends(token, tokenizer) else { break }
            let (released, met) = watch.push(ahead.push(marks[token] ?? tokenizer.bytes(of: token)))
            guard met == nil else { break }
            text += released
        }
        if !text.isEmpty { splitter?.foresee(text, renderer: renderer) }
    }

    /// Takes tokens that were told elsewhere: nothing of them is told again. Answers how many there are up to the end
    /// of the answer, and why it ended.
    ///
    /// All but the newest are read at once, as a reading takes as long as the answer is. The newest are read one by
    /// one, because a reading may take back what the one before it told.
    package mutating func replay(
        _ tokens: [Token], tokenizer: any Tokenizer, renderer: any PromptRenderer
    ) -> (count: Int, finish: FinishReason?) {
        defer { if journal != nil { journal = [] } }
        let skipped = max(0, tokens.count - Limits.replayedReadings)
        skipsReadings = true
        for (index, token) in tokens.enumerated() {
            if index == skipped { readSkipped(renderer) }
            let finish = push(token, logprob: nil, tokenizer: tokenizer, renderer: renderer).finish
            if let finish { return (index + 1, finish) }
        }
        readSkipped(renderer)
        return (tokens.count, nil)
    }

    /// Reads what was gathered; it was told elsewhere.
    private mutating func readSkipped(_ renderer: any PromptRenderer) {
        skipsReadings = false
        guard hasSkipped else { return }
        var told = OutputDelta(choice: choice)
        release("", isPartial: true, renderer: renderer, into: &told)
    }

    /// Closes the answer with all that was kept back.
    private mutating func finish(_ reason: FinishReason, released: String, renderer: any PromptRenderer) -> Progress {
        var rest = released
        if metStop == nil {
            let (last, met) = stops.push(decoder.finish())
            rest += last
            metStop = met
            if met == nil { rest += stops.finish() }
        }
        var delta = OutputDelta(choice: choice)
        if splitter != nil || !rest.isEmpty { release(rest, isPartial: false, renderer: renderer, into: &delta) }
        // Tokens that lie wholly in the stop text are not part of the answer.
        for entry in unsent where metStop == nil || entry.start < releasedBytes { delta.logprobs.append(entry.logprob) }
        unsent = []
        tellJournal(in: &delta)
        let ended: FinishReason = metStop == nil ? reason : .stop
        let calls = ended == .stop && splitter?.hasCalls == true
        return Progress(delta: delta, finish: calls ? .toolCalls : ended)
    }

    private mutating func release(
        _ text: String, isPartial: Bool, renderer: any PromptRenderer, into delta: inout OutputDelta
    ) {
        releasedBytes += text.utf8.count
        guard splitter != nil else {
            delta.text = text
            return
        }
        if skipsReadings, isPartial {
            hasSkipped = true
            splitter?.skip(text)
            return
        }
        splitter?.push(text, isPartial: isPartial, renderer: renderer, into: &delta)
        if hasSkipped {
            hasSkipped = false
            guessedReasoning += Int((splitter?.reasoningShare ?? 0) * Double(tokensSinceGrowth))
        } else if splitter?.onlyReasoningGrew == true {
            guessedReasoning += tokensSinceGrowth
        }
        if !delta.isEmpty { tokensSinceGrowth = 0 }
    }

    /// Hands over the log-probabilities of tokens whose text has been released, with the piece that carries text.
    private mutating func attachLogprobs(to delta: inout OutputDelta) {
        guard !unsent.isEmpty, !delta.isEmpty else { return }
        let count = unsent.prefix { $0.end <= releasedBytes }.count
        delta.logprobs.append(contentsOf: unsent.prefix(count).map(\.logprob))
        unsent.removeFirst(count)
    }

    private mutating func tellJournal(in delta: inout OutputDelta) {
        guard let tokens = journal, !delta.isEmpty else { return }
        delta.journal = tokens
        journal = []
    }

    private static func filled(_ logprob: TokenLogprob, _ tokenizer: any Tokenizer) -> TokenLogprob {
        var filled = logprob
        filled.chosen.bytes = tokenizer.bytes(of: filled.chosen.token)
        for index in filled.top.indices { filled.top[index].bytes = tokenizer.bytes(of: filled.top[index].token) }
        return filled
    }
}
