/// The Swift reading of a file.
struct SwiftSource: Sendable {
    /// Everything but comments.
    let code: [SwiftToken]
    let declarations: [Declaration]

    init(bytes: [UInt8]) {
        let tokens = SwiftLexer.tokens(of: bytes)
        code = tokens.filter { $0.kind != .comment && $0.kind != .documentation }
        declarations = DeclarationScanner.declarations(in: code, comments: CommentLines(tokens))
    }

    /// The names of imported modules with their lines; `import struct A.B` counts as `A`.
    var imports: [(module: String, line: Int)] {
        declarations.filter { $0.keyword == "import" }.map { declaration in
            let kinds: Set<String> = ["struct", "enum", "class", "protocol", "func", "var", "let", "typealias"]
            let second = declaration.signature.lowerBound + 2
            let isScoped = kinds.contains(declaration.name) && second < code.count
            return (isScoped ? code[second].text : declaration.name, declaration.line)
        }
    }

    /// The declaration that directly encloses another, if any.
    func parent(of declaration: Declaration) -> Declaration? {
        declaration.enclosing.map { declarations[$0] }
    }
}
