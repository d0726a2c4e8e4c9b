/// A declaration as far as the rules look at it.
struct Declaration: Sendable {
    /// `func`, `struct`, `case`, …
    let keyword: String
    /// The declared name; empty for `init`, `deinit` and `subscript`.
    let name: String
    /// Whether the name is written in backticks.
    let isQuoted: Bool
    /// Words before the keyword, without attributes: `package`, `static`, `private(set)`.
    let modifiers: [String]
    /// Attribute names, without `@` and arguments.
    let attributes: [String]
    /// Line of the keyword.
    let line: Int
    /// Text of the `///` lines directly above (attributes and ordinary comments may stand between); nil without any.
    let documentation: String?
    /// Index of the declaration whose body this one stands in directly.
    let enclosing: Int?
    /// Indices into the file's code tokens: from the keyword to the body or to the end of the signature.
    var signature: Range<Int>
    /// Line of the brace that closes the body; nil without a body.
    var bodyEndLine: Int?

    var isType: Bool { Self.typeKeywords.contains(keyword) }

    /// Modules count as types of their own file only through these.
    static let typeKeywords: Set<String> = ["struct", "enum", "class", "actor", "protocol", "typealias"]
}
