package import Vocabulary

/// Turns requests into tokens and tokens into text; implemented over the entry stage's vocabulary.
package protocol Tokenizer {
    /// Number of tokens in the vocabulary; ids are `0 ..< vocabularySize`.
    var vocabularySize: Int { get }

    /// Tokens of a text. `special` lets control tokens written in the text count as such.
    ///
    /// **Throws:** `GenerationError.invalidField` when the text is longer than the limit.
    func tokens(of text: String, special: Bool) throws(GenerationError) -> [Token]

    /// Tokens of a text; `addsSpecial` puts around it what the vocabulary puts around texts, `parsesSpecial` lets
    /// control tokens written in it count as such.
    ///
    /// **Throws:** `GenerationError.invalidField` when the text is longer than the limit.
    func tokens(of text: String, addsSpecial: Bool, parsesSpecial: Bool) throws(GenerationError) -> [Token]

    /// How a token is written, control tokens included; empty for ids outside the vocabulary.
    func text(of token: Token) -> [UInt8]

    /// Bytes a token contributes to the answer, not always whole UTF-8; empty for control tokens.
    func bytes(of token: Token) -> [UInt8]

    /// Whether the token ends an answer.
    func endsGeneration(_ token: Token) -> Bool

    /// The first `count` tokens of a text that is to become a vector, closed as the vocabulary closes texts.
    func shortened(_ tokens: [Token], to count: Int) -> [Token]
}

extension Tokenizer {
    /// The first `count` tokens, for vocabularies that put nothing behind a text.
    package func shortened(_ tokens: [Token], to count: Int) -> [Token] { Array(tokens.prefix(count)) }
}

/// A request after templating: what is prefilled and how the answer is read.
package struct PreparedPrompt: Sendable {
    /// The prompt; ids below 0 are rows of `images`.
    package var tokens: [Token]
    /// Grammar demanded by tools, tool choice or response format.
    package var grammar: LaneGrammar?
    /// Stop texts the template adds.
    package var stop: [String]
    /// Opaque description of how to split the answer into text, reasoning and tool calls; nil means plain text.
    package var format: AnswerFormat?
    /// How the prompt becomes a vector, which then is all of the answer; nil generates.
    package var pooling: Pooling?
    /// How the answer thinks, bound included; nil when the template knows no thinking.
    package var thinking: LaneThinking?
    /// Control tokens whose text `format` needs to see in the answer.
    package var marks: [Token: [UInt8]]
    /// Images among the tokens, whose rows have ids below 0; in order.
    package var images: [ImageSpan] = []

    /// Makes a prepared prompt.
    package init(
        tokens: [Token], grammar: LaneGrammar? = nil, stop: [String] = [], format: AnswerFormat? = nil,
        thinking: LaneThinking? = nil, marks: [Token: [UInt8]] = [:]
    ) {
        self.tokens = tokens
        self.grammar = grammar
        self.stop = stop
        self.format = format
        self.thinking = thinking
        self.marks = marks
    }
}

/// How an answer is split; made by a `PromptRenderer`, understood by the same renderer's `parse`.
package struct AnswerFormat: Hashable, Sendable, Codable {
    /// The renderer's own notation.
    package var notation: String
    /// Tools were offered: look for calls.
    package var parsesTools: Bool

    /// Makes a format.
    package init(notation: String, parsesTools: Bool) {
        self.notation = notation
        self.parsesTools = parsesTools
    }
}

/// An answer (or the part that exists so far) split into its kinds.
package struct ParsedAnswer: Hashable, Sendable {
    /// Answer text.
    package var text: String
    /// Reasoning text.
    package var reasoning: String
    /// Tool calls, in order; ids may be empty, the serving side then gives them one.
    package var toolCalls: [ToolCall]

    /// Makes a split answer.
    package init(text: String = "", reasoning: String = "", toolCalls: [ToolCall] = []) {
        self.text = text
        self.reasoning = reasoning
        self.toolCalls = toolCalls
    }
}

/// Applies the model's chat template and reads its answers back.
package protocol PromptRenderer {
    /// Renders and tokenises a request's prompt.
    ///
    /// **Throws:** `invalidField` for messages, tools or schemas the template or the grammar compiler refuses;
    /// `unsupported` when the template cannot express the request.
    func prepare(_ request: GenerationRequest) throws(GenerationError) -> PreparedPrompt

    /// The text the template makes of a conversation, before it is tokenised.
    ///
    /// **Throws:** `invalidField` when the template refuses the messages or tools; `unsupported` for a prompt that is
    /// no conversation.
    func text(of request: GenerationRequest) throws(GenerationError) -> String

    /// Splits the answer text so far. `isPartial` keeps back what may still become something else.
    ///
    /// Total: text that cannot be parsed comes back as plain text.
    func parse(_ answer: String, format: AnswerFormat, isPartial: Bool) -> ParsedAnswer
}
