/// What a request wants to know of its prompt instead of an answer. The entry stage's vocabulary and template know it,
/// so it takes no lane and no step, and a prompt may be longer than the window.
package enum Inspection: Hashable, Sendable, Codable {
    /// A part of a text to be tokenised.
    package enum Part: Hashable, Sendable, Codable {
        /// A text.
        case text(String)
        /// A token as it is.
        case token(Token)
    }

    /// The tokens of parts, one after the other; `addsSpecial` puts around the first text what the vocabulary puts
    /// around texts, `parsesSpecial` lets control tokens written in a text count as such. The prompt is not looked at.
    case tokens([Part], addsSpecial: Bool, parsesSpecial: Bool)
    /// The text of the prompt, which is tokens; control tokens included.
    case text
    /// The text the model's chat template makes of the prompt, which is a conversation.
    case template
}

/// A token and what it stands for.
package struct TokenText: Hashable, Sendable, Codable {
    /// The token id.
    package var token: Token
    /// The token's bytes, not always whole UTF-8; those of control tokens are how they are written.
    package var bytes: [UInt8]

    /// Makes an entry.
    package init(token: Token, bytes: [UInt8]) {
        self.token = token
        self.bytes = bytes
    }
}
