import Serving
package import Vocabulary

/// A vocabulary of the 256 bytes and a few control tokens.
package struct ReferenceTokenizer: Tokenizer, Sendable {
    /// Ends an answer.
    package static let end: Token = 256
    /// Starts a prompt.
    package static let start: Token = 257
    /// Number of tokens.
    package static let size = 258
    /// Longest text, in bytes.
    package static let textLimit = 1 << 20

    /// Makes the tokenizer.
    package init() {}

    /// Number of tokens in the vocabulary.
    package var vocabularySize: Int { Self.size }

    /// One token per byte; with `special`, `<|end|>` and `<|start|>` are control tokens.
    ///
    /// **Throws:** `invalidField` for a text longer than `textLimit`.
    package func tokens(of text: String, special: Bool) throws(GenerationError) -> [Token] {
        let count = text.utf8.count
        guard count <= Self.textLimit else {
            throw .invalidField(name: "prompt", value: "\(count) bytes", limit: "at most \(Self.textLimit) are allowed")
        }
        guard special else { return text.utf8.map { Token($0) } }
        let controls = [(Array("<|end|>".utf8), Self.end), (Array("<|start|>".utf8), Self.start)]
        var tokens: [Token] = []
        var rest = Array(text.utf8)[...]
        while let first = rest.first {
            if let (mark, token) = controls.first(where: { rest.starts(with: $0.0) }) {
                tokens.append(token)
                rest = rest.dropFirst(mark.count)
            } else {
                tokens.append(Token(first))
                rest = rest.dropFirst()
            }
        }
        return tokens
    }

    /// One token per byte; with `parsesSpecial` control tokens count, with `addsSpecial` the start comes first.
    ///
    /// **Throws:** as `tokens(of:special:)`.
    package func tokens(
        of text: String, addsSpecial: Bool, parsesSpecial: Bool
    ) throws(GenerationError) -> [Token] {
        (addsSpecial ? [Self.start] : []) + (try tokens(of: text, special: parsesSpecial))
    }

    /// The byte itself, or how a control token is written.
    package func text(of token: Token) -> [UInt8] {
        switch token {
        case Self.end: Array("<|end|>".utf8)
        case Self.start: Array("<|start|>".utf8)
        default: bytes(of: token)
        }
    }

    /// The byte itself; nothing for control tokens.
    package func bytes(of token: Token) -> [UInt8] { UInt8(exactly: token).map { [$0] } ?? [] }

    /// Whether the token ends an answer.
    package func endsGeneration(_ token: Token) -> Bool { token == Self.end }
}
