import CLlama
import Serving
package import Vocabulary

/// The vocabulary of a loaded model as a `Tokenizer`.
///
/// **Isolation:** any thread; the library only reads the vocabulary.
package struct LlamaTokenizer: Tokenizer, Sendable {
    /// Longest text that is tokenised, in bytes (llama.cpp counts in 32 bits).
    package static let byteLimit = 64 << 20

    private let model: SharedModel
    /// Number of tokens in the vocabulary.
    package let vocabularySize: Int

    /// Uses the vocabulary of `model`.
    package init(_ model: SharedModel) {
        self.model = model
        vocabularySize = model.model.vocabularySize
    }

    private var vocabulary: OpaquePointer? { unsafe llama_model_get_vocab(model.model.handle) }

    /// Tokens of a text; `special` lets control tokens written in the text count as such and adds the model's BOS.
    ///
    /// **Throws:** `invalidField` when the text is longer than `byteLimit`.
    package func tokens(of text: String, special: Bool) throws(GenerationError) -> [Token] {
        try tokens(of: text, addsSpecial: special, parsesSpecial: special)
    }

    /// Tokens of a text inside of a sequence: control tokens count as such, and nothing is put in front.
    ///
    /// **Throws:** as `tokens(of:special:)`.
    package func tokens(ofMark text: String) throws(GenerationError) -> [Token] {
        try tokens(of: text, addsSpecial: false, parsesSpecial: true)
    }

    /// Tokens of a text with or without what the vocabulary puts around texts, and with or without control tokens.
    ///
    /// **Throws:** as `tokens(of:special:)`.
    package func tokens(
        of text: String, addsSpecial: Bool, parsesSpecial: Bool
    ) throws(GenerationError) -> [Token] {
        let length = text.utf8.count
        guard length <= Self.byteLimit else {
            throw .invalidField(
                name: "prompt", value: "\(length) bytes", limit: "at most \(Self.byteLimit) bytes are allowed")
        }
        // A token covers at least one byte, apart from BOS, EOS and a possible space prefix.
        var tokens = [Token](repeating: 0, count: length + 8)
        let count = unsafe llama_tokenize(
            vocabulary, text, Int32(length), &tokens, Int32(tokens.count), addsSpecial, parsesSpecial)
        guard count >= 0 else {
            throw .invalidField(name: "prompt", value: "\(length) bytes", limit: "the tokenizer refused it")
        }
        tokens.removeLast(tokens.count - Int(count))
        return tokens
    }

    /// Bytes the token contributes to text; empty for control tokens and ids outside the vocabulary.
    package func bytes(of token: Token) -> [UInt8] { bytes(of: token, special: false) }

    /// Bytes of the token's text, control tokens included.
    package func text(of token: Token) -> [UInt8] { bytes(of: token, special: true) }

    private func bytes(of token: Token, special: Bool) -> [UInt8] {
        guard token >= 0, Int(token) < vocabularySize, let vocabulary = unsafe vocabulary else { return [] }
        return unsafe vocabulary.text(of: token, special: special)
    }

    /// The first `count` tokens; the token a vocabulary closes every text with stays the last.
    package func shortened(_ tokens: [Token], to count: Int) -> [Token] {
        guard tokens.count > count, count > 0, let last = tokens.last else { return tokens }
        let isEnd = unsafe llama_vocab_get_add_eos(vocabulary) && last == llama_vocab_eos(vocabulary)
        let isSeparator = unsafe llama_vocab_get_add_sep(vocabulary) && last == llama_vocab_sep(vocabulary)
        guard isEnd || isSeparator else { return Array(tokens.prefix(count)) }
        return tokens.prefix(count - 1) + [last]
    }

    /// Whether a grammar compiles over this vocabulary.
    func accepts(_ grammar: LaneGrammar) -> Bool {
        guard let vocabulary = unsafe vocabulary else { return false }
        return unsafe SamplerStage(grammar: grammar, vocabulary: vocabulary) != nil
    }

    /// Whether the token ends an answer.
    package func endsGeneration(_ token: Token) -> Bool {
        guard token >= 0, Int(token) < vocabularySize else { return false }
        return unsafe llama_vocab_is_eog(vocabulary, token)
    }
}

extension OpaquePointer {
    /// Bytes of a token's text in this vocabulary; the token MUST be in it.
    func text(of token: Token, special: Bool = true) -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: 64)
        var count = unsafe llama_token_to_piece(self, token, &buffer, Int32(buffer.count), 0, special)
        if count < 0 {
            buffer = [CChar](repeating: 0, count: Int(-count))
            count = unsafe llama_token_to_piece(self, token, &buffer, Int32(buffer.count), 0, special)
        }
        return buffer.prefix(max(0, Int(count))).map(UInt8.init(bitPattern:))
    }
}
