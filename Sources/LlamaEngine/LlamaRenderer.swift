import CLlama
import CLlamaExtras
package import Serving
import Synchronization
package import Vocabulary

/// Applies the model's own chat template and reads its answers back, through llama.cpp's `common`.
///
/// **Isolation:** any one thread at a time; the answer parsers are guarded by a lock.
package final class LlamaRenderer: PromptRenderer, Sendable {
    private let tokenizer: LlamaTokenizer
    private let templates: ChatTemplates
    private let parsers = Mutex(ParserCache())
    private let isEncoder: Bool
    private let pooling: Pooling?
    private let projector: LlamaProjector?
    private let markers = ImageMarkers()

    /// Reads the template of `model`; a model without one gets llama.cpp's default (ChatML). With a projector it sees.
    ///
    /// **Throws:** `failed` when the template does not compile.
    package init(_ model: SharedModel, projector: LlamaProjector? = nil) throws(EngineError) {
        self.projector = projector
        extras_init()
        tokenizer = LlamaTokenizer(model)
        templates = try ChatTemplates(model)
        isEncoder = model.model.isEncoder
        pooling = model.model.pooling
    }

    /// Renders and tokenises a request's prompt.
    ///
    /// **Throws:** `invalidField` when the template, the tools or the schema are refused; `unsupported` for raw prompts
    /// with tools.
    package func prepare(_ request: GenerationRequest) throws(GenerationError) -> PreparedPrompt {
        if request.embedding != nil { return try prepareVector(request) }
        guard !isEncoder else {
            throw .unsupported(
                feature: "Generating text with '\(request.model)', a model that only makes embeddings,",
                remedy: "ask it for embeddings, or another model for text")
        }
        switch request.prompt {
        case .tokens(let tokens):
            if let bad = tokens.first(where: { $0 < 0 || Int($0) >= tokenizer.vocabularySize }) {
                throw .invalidField(
                    name: "prompt", value: "token \(bad)", limit: "tokens are 0 … \(tokenizer.vocabularySize - 1)")
            }
            return PreparedPrompt(tokens: tokens, grammar: try grammar(of: request))
        case .text(let text):
            let tokens = try tokenizer.tokens(of: text, special: true)
            return PreparedPrompt(tokens: tokens, grammar: try grammar(of: request))
        case .chat(let messages):
            return try prepareChat(messages, request)
        }
    }

    /// The text the template makes of a conversation, before it is tokenised.
    ///
    /// **Throws:** `invalidField` when the template refuses it; `unsupported` for a prompt that is no conversation.
    package func text(of request: GenerationRequest) throws(GenerationError) -> String {
        guard case .chat(let messages) = request.prompt else {
            throw .unsupported(feature: "A template for a prompt without messages", remedy: "send messages")
        }
        return try templates.render(messages, request).text
    }

    /// Splits the answer text so far; text that cannot be parsed comes back as plain text.
    package func parse(_ answer: String, format: AnswerFormat, isPartial: Bool) -> ParsedAnswer {
        parsers.withLock { cache in
            cache.parser(for: format)?.parse(answer, isPartial: isPartial) ?? ParsedAnswer(text: answer)
        }
    }

    /// A prompt that becomes a vector: a text with what the vocabulary puts around it, or tokens as they are.
    private func prepareVector(_ request: GenerationRequest) throws(GenerationError) -> PreparedPrompt {
        guard let pooling else {
            throw .unsupported(
                feature: "Embeddings by '\(request.model)', a model that ranks texts,",
                remedy: "ask a model that is made for embeddings")
        }
        var prepared: PreparedPrompt
        switch request.prompt {
        case .tokens(let tokens):
            if let bad = tokens.first(where: { $0 < 0 || Int($0) >= tokenizer.vocabularySize }) {
                throw .invalidField(
                    name: "prompt", value: "token \(bad)", limit: "tokens are 0 … \(tokenizer.vocabularySize - 1)")
            }
            prepared = PreparedPrompt(tokens: tokens)
        case .text(let text):
            prepared = PreparedPrompt(tokens: try tokenizer.tokens(of: text, special: true))
        case .chat:
            throw .unsupported(feature: "A conversation as the text of an embedding", remedy: "send its text")
        }
        prepared.pooling = pooling
        return prepared
    }

    private func grammar(of request: GenerationRequest) throws(GenerationError) -> LaneGrammar? {
        switch request.responseFormat {
        case .text: return nil
        case .grammar(let text): return try checked(LaneGrammar(text: text), field: "grammar")
        case .jsonObject: return LaneGrammar(text: try Self.grammar(schema: #"{"type":"object"}"#))
        case .jsonSchema(let schema):
            return try checked(LaneGrammar(text: try Self.grammar(schema: schema)), field: "response_format")
        }
    }

    private static func grammar(schema: String) throws(GenerationError) -> String {
        var message: UnsafeMutablePointer<CChar>?
        let text = unsafe take(extras_grammar_from_schema(schema, &message))
        let reason = unsafe take(message)
        guard let text else {
            throw .invalidField(
                name: "response_format", value: "refused: \(reason ?? "no reason given")",
                limit: "it must be a JSON schema that can be turned into a grammar")
        }
        return text
    }

    private func prepareChat(
        _ messages: [Message], _ request: GenerationRequest
    ) throws(GenerationError) -> PreparedPrompt {
        // A schema or grammar of the client's own is checked first, so that its fault is not blamed on the messages.
        let demanded = try grammar(of: request)
        let images = messages.flatMap { $0.images ?? [] }
        let eyes = try eyes(for: images, of: request)
        let rendered = try templates.render(eyes == nil ? messages : markers.placed(in: messages), request)
        let tokens: [Token]
        let spans: [ImageSpan]
        if let eyes {
            (tokens, spans) = try eyes.prompt(try pieces(of: rendered.text, images))
        } else {
            (tokens, spans) = (try tokenizer.tokens(of: rendered.text, special: true), [])
        }
        var grammar = demanded
        if !rendered.grammar.isEmpty {
            let isOwn = if case .grammar = request.responseFormat { true } else { false }
            let tail = rendered.isLazy || isOwn ? 0 : try promptTail(rendered.generationPrompt, of: tokens)
            let made = LaneGrammar(
                text: rendered.grammar, triggers: rendered.isLazy ? rendered.triggers : nil, promptTail: tail)
            // The last stage would find a fault only when the request has a lane, and could not say whose it is.
            let field = isOwn ? "grammar" : request.tools.isEmpty ? "response_format" : "tools"
            grammar = try checked(made, field: field)
        }
        var prepared = PreparedPrompt(
            tokens: tokens, grammar: grammar, stop: rendered.stop,
            format: AnswerFormat(
                notation: rendered.notation, parsesTools: !request.tools.isEmpty && request.toolChoice != .none),
            thinking: try thinking(rendered, budget: request.reasoning.budget), marks: try marks(rendered))
        prepared.images = spans
        return prepared
    }
}

extension LlamaRenderer {
    /// What sees the images; nil when there are none.
    private func eyes(
        for images: [MessageImage], of request: GenerationRequest
    ) throws(GenerationError) -> LlamaProjector? {
        guard let first = images.first else { return nil }
        guard let projector else {
            throw .invalidField(
                name: first.field, value: "an image",
                limit: "'\(request.model)' reads text only: it is served without a projector")
        }
        return projector
    }

    /// The rendered conversation with the images in their places.
    private func pieces(of prompt: String, _ images: [MessageImage]) throws(GenerationError) -> [PromptPiece] {
        var pieces: [PromptPiece] = []
        var unseen = Set(images.indices)
        for (text, number) in markers.split(prompt) {
            pieces.append(.text(text))
            guard let number, images.indices.contains(number) else { continue }
            guard let file = Base64.bytes(images[number].base64) else {
                throw .invalidField(name: images[number].field, value: "not base64", limit: "send the file in base64")
            }
            pieces.append(.image(file, field: images[number].field))
            unseen.remove(number)
        }
        if let lost = unseen.min() {
            throw .invalidField(
                name: images[lost].field, value: "left out by the model's chat template",
                limit: "put images into messages of the user")
        }
        return pieces
    }
}

extension LlamaRenderer {
    /// How the template's answers think; nil when they do not.
    private func thinking(_ rendered: RenderedChat, budget: Int?) throws(GenerationError) -> LaneThinking? {
        let ends = rendered.thinkingEnds.filter { !$0.isEmpty }
        guard !rendered.thinkingStart.isEmpty, let end = ends.first else { return nil }
        var closings: [[Token]] = []
        for index in end.utf8.indices {
            // The end of a text that begins inside of a character cannot be written; then all of it is.
            let rest = String(end.utf8[index...]) ?? end
            closings.append(try tokenizer.tokens(ofMark: rest))
        }
        var isOpen = false
        var prompt = rendered.generationPrompt[...]
        while let mark = prompt.firstRange(of: isOpen ? end : rendered.thinkingStart) {
            isOpen.toggle()
            prompt = prompt[mark.upperBound...]
        }
        return LaneThinking(
            start: rendered.thinkingStart, ends: ends, closings: closings, isOpen: isOpen,
            budget: budget.map { Int32(clamping: $0) })
    }

    /// The control tokens among the texts that the answer's parser has to see: other tokens spell themselves.
    private func marks(_ rendered: RenderedChat) throws(GenerationError) -> [Token: [UInt8]] {
        var marks: [Token: [UInt8]] = [:]
        for text in rendered.marks + [rendered.thinkingStart] + rendered.thinkingEnds where !text.isEmpty {
            let tokens = try tokenizer.tokens(ofMark: text)
            if tokens.count == 1, tokenizer.bytes(of: tokens[0]).isEmpty, !tokenizer.endsGeneration(tokens[0]) {
                marks[tokens[0]] = Array(text.utf8)
            }
        }
        return marks
    }

    /// How many of the prompt's last tokens are the template's generation prompt.
    ///
    /// Output grammars of templates begin with it. A tokenizer may put a space in front of a text's first token, so the
    /// longest tail that fits is taken.
    private func promptTail(_ text: String, of tokens: [Token]) throws(GenerationError) -> Int32 {
        var tail = try tokenizer.tokens(of: text, special: true)[...]
        while !tail.isEmpty, !tokens.suffix(tail.count).elementsEqual(tail) { tail = tail.dropFirst() }
        return Int32(tail.count)
    }

    /// Keeps away from the library what it does not survive; also from schemas of tools, whose grammars it made itself.
    private static func check(_ grammar: String, field: String) throws(GenerationError) {
        guard let refusal = GrammarCheck.refusal(of: grammar) else { return }
        throw .invalidField(name: field, value: "refused (\(refusal.reason))", limit: refusal.limit)
    }

    /// Compiles a grammar of the client's, or one made of what the client sent, for its faults to be found before the
    /// request gets a lane.
    private func checked(_ grammar: LaneGrammar, field: String) throws(GenerationError) -> LaneGrammar {
        let length = grammar.text.utf8.count
        guard length <= Limits.grammarBytes else {
            throw .invalidField(
                name: field, value: "a grammar of \(length) bytes",
                limit: "at most \(Limits.grammarBytes) bytes travel to the last stage; offer less at once")
        }
        try Self.check(grammar.text, field: field)
        LlamaLibrary.clearLog()
        guard tokenizer.accepts(grammar) else {
            throw .invalidField(
                name: field, value: "refused (\(LlamaLibrary.reason(or: "it is not valid GBNF")))",
                limit: field == "grammar"
                    ? "it must be a GBNF grammar with a rule 'root'"
                    : "its schemas must give a grammar the engine takes: lower their bounds of items and lengths")
        }
        return grammar
    }
}

/// Takes over a C string from the shim.
func take(_ text: UnsafeMutablePointer<CChar>?) -> String? {
    guard let text = unsafe text else { return nil }
    defer { unsafe extras_string_free(text) }
    return unsafe String(cString: text)
}

/// The last few answer parsers, so that a stream does not rebuild its parser for every token.
struct ParserCache {
    /// Parsers kept.
    static let capacity = 64

    private var entries: [(format: AnswerFormat, parser: AnswerParser)] = []

    mutating func parser(for format: AnswerFormat) -> AnswerParser? {
        if let index = entries.lastIndex(where: { $0.format == format }) {
            if index + 1 != entries.count { entries.append(entries.remove(at: index)) }
            return entries.last?.parser
        }
        guard let made = AnswerParser(format) else { return nil }
        if entries.count == Self.capacity { entries.removeFirst() }
        entries.append((format, made))
        return made
    }
}
