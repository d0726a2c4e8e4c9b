/// A piece of Swift source with its place; white space is dropped, comments are kept apart by `kind`.
struct SwiftToken: Sendable {
    enum Kind: Sendable {
        /// Identifier or keyword.
        case word
        /// Identifier in backticks; `text` is without them.
        case quoted
        /// Number literal.
        case number
        /// A stretch of string or regex literal without interpolations; `text` is the content as written.
        case literal
        /// Punctuation: one character, or one of the few operators rules care about (`->`, `!=`, `..<`, `...`).
        case symbol
        /// `///` comment; `text` is without the slashes.
        case documentation
        /// Any other comment.
        case comment
    }

    let kind: Kind
    let text: String
    /// Line of the first character, from 1.
    let line: Int
    /// Line of the last character.
    let endLine: Int
    /// Whether nothing but white space precedes it on its line.
    let startsLine: Bool
    /// Whether no white space separates it from what precedes it.
    let touchesPrevious: Bool

    func isWord(_ word: String) -> Bool { kind == .word && text == word }

    func isSymbol(_ symbol: String) -> Bool { kind == .symbol && text == symbol }
}
