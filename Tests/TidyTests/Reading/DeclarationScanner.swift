/// Finds declarations, what encloses them and where their bodies end, from tokens alone.
///
/// It is not a parser: it relies on declarations starting a line (or following a brace), which the formatter ensures.
struct DeclarationScanner {
    private let code: [SwiftToken]
    private let comments: CommentLines
    private var declarations: [Declaration] = []
    /// For every open brace, the declaration whose body it opened.
    private var scopes: [Int?] = []
    /// Open parentheses and square brackets.
    private var depth = 0
    /// The declaration whose signature is being read, and the depth it started at.
    private var pending: (declaration: Int, depth: Int)?

    static func declarations(in code: [SwiftToken], comments: CommentLines) -> [Declaration] {
        var scanner = DeclarationScanner(code: code, comments: comments)
        scanner.scan()
        return scanner.declarations
    }

    private init(code: [SwiftToken], comments: CommentLines) {
        self.code = code
        self.comments = comments
    }

    private mutating func scan() {
        var index = 0
        while index < code.count {
            if let header = DeclarationHeader(at: index, in: code) {
                endSignature(at: index)
                open(header)
                index = header.next
            } else {
                step(at: index)
                index += 1
            }
        }
        endSignature(at: code.count)
    }

    private mutating func open(_ header: DeclarationHeader) {
        let keyword = code[header.keywordIndex]
        declarations.append(
            Declaration(
                keyword: keyword.text, name: header.name, isQuoted: header.isQuoted, modifiers: header.modifiers,
                attributes: header.attributes, line: keyword.line,
                documentation: comments.documentation(above: code[header.start].line, through: keyword.line),
                enclosing: scopes.last ?? nil, signature: header.keywordIndex..<header.next, bodyEndLine: nil))
        pending = (declarations.count - 1, depth)
    }

    private mutating func step(at index: Int) {
        let token = code[index]
        if token.startsLine, let pending, depth == pending.depth, !token.isSymbol("{"), endsAtLine(pending.declaration)
        {
            endSignature(at: index)
        }
        guard token.kind == .symbol else { return }
        switch token.text {
        case "(", "[": depth += 1
        case ")", "]": depth -= 1
        case "=" where pending.map { $0.depth == depth && endsAtLine($0.declaration) } ?? false:
            endSignature(at: index)
        case "{": openScope(at: index)
        case "}":
            // A brace inside parentheses closes a closure of a default argument, not the signature's surroundings.
            if pending.map({ $0.depth == depth }) ?? false { endSignature(at: index) }
            if let closed = scopes.popLast() ?? nil { declarations[closed].bodyEndLine = token.line }
        default: break
        }
    }

    private mutating func openScope(at index: Int) {
        guard let pending, pending.depth == depth else {
            scopes.append(nil)
            return
        }
        endSignature(at: index)
        scopes.append(pending.declaration)
    }

    private mutating func endSignature(at index: Int) {
        guard let ended = pending?.declaration else { return }
        declarations[ended].signature = declarations[ended].signature.lowerBound..<index
        pending = nil
    }

    /// Properties, cases and aliases end with their line or their `=`; functions and types may go on.
    private func endsAtLine(_ declaration: Int) -> Bool {
        ["var", "let", "case", "import", "typealias", "associatedtype"].contains(declarations[declaration].keyword)
    }
}

/// The comments of a file, by line.
struct CommentLines: Sendable {
    private var documentation: [Int: String] = [:]
    private var ordinary: Set<Int> = []

    init(_ tokens: [SwiftToken]) {
        for token in tokens where token.startsLine {
            if token.kind == .documentation { documentation[token.line] = token.text }
            if token.kind == .comment { ordinary.formUnion(token.line...token.endLine) }
        }
    }

    /// The doc comment that ends directly above `line`, or stands between `line` and `keywordLine`.
    func documentation(above line: Int, through keywordLine: Int) -> String? {
        var last = line - 1
        while ordinary.contains(last) { last -= 1 }
        if documentation[last] == nil, line < keywordLine {
            last = (line..<keywordLine).last { documentation[$0] != nil } ?? last
        }
        var text: [String] = []
        while let above = documentation[last] {
            text.insert(above, at: 0)
            last -= 1
        }
        return text.isEmpty ? nil : text.joined(separator: "\n")
    }
}
