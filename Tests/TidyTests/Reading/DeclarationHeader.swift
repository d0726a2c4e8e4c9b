/// Attributes, modifiers, keyword and name of a declaration.
struct DeclarationHeader {
    /// Index of the first attribute, modifier or the keyword.
    let start: Int
    private(set) var keywordIndex = 0
    private(set) var modifiers: [String] = []
    private(set) var attributes: [String] = []
    private(set) var name = ""
    private(set) var isQuoted = false
    /// Index of the first token after the name.
    private(set) var next = 0

    private static let keywords: Set<String> = [
        "func", "var", "let", "init", "deinit", "subscript", "typealias", "associatedtype", "struct", "enum", "class",
        "actor", "protocol", "extension", "import", "case", "macro", "operator", "precedencegroup",
    ]

    private static let accessLevels: Set<String> = ["package", "public", "open", "internal", "fileprivate", "private"]

    private static let plainModifiers: Set<String> = [
        "static", "final", "mutating", "nonmutating", "consuming", "borrowing", "nonisolated", "indirect", "lazy",
        "weak", "unowned", "override", "required", "convenience", "dynamic", "distributed", "isolated", "prefix",
        "postfix", "infix", "optional", "async",
    ]

    /// Reads a header at `index`, or answers nil when no declaration starts there.
    init?(at index: Int, in code: [SwiftToken]) {
        guard Self.canStart(at: index, in: code) else { return nil }
        start = index
        var position = index
        while position < code.count {
            let token = code[position]
            if token.isSymbol("@") {
                position = readAttribute(at: position, in: code)
            } else if token.kind == .word, let after = readModifier(at: position, in: code) {
                position = after
            } else {
                break
            }
        }
        guard position < code.count, readKeyword(at: position, in: code) else { return nil }
    }

    private static func canStart(at index: Int, in code: [SwiftToken]) -> Bool {
        let token = code[index]
        guard token.kind == .word || token.isSymbol("@") else { return false }
        guard index > 0 else { return true }
        let previous = code[index - 1]
        if previous.isSymbol("{") || previous.isSymbol("}") || previous.isSymbol(";") { return true }
        return token.startsLine && !previous.isSymbol(",") && !previous.isSymbol(".")
    }

    private mutating func readAttribute(at index: Int, in code: [SwiftToken]) -> Int {
        var position = index + 1
        guard position < code.count, code[position].kind == .word else { return position }
        var attribute = code[position].text
        position += 1
        while position + 1 < code.count, code[position].isSymbol("."), code[position + 1].kind == .word {
            attribute += "." + code[position + 1].text
            position += 2
        }
        attributes.append(attribute)
        if position < code.count, code[position].isSymbol("("), code[position].touchesPrevious {
            position = Self.afterBalanced(from: position, in: code)
        }
        return position
    }

    /// The index after a modifier at `index`, nil when there is none.
    private mutating func readModifier(at index: Int, in code: [SwiftToken]) -> Int? {
        let word = code[index].text
        let follower = index + 1 < code.count ? code[index + 1] : nil
        if word == "class" {
            let member: Set<String> = ["func", "var", "let", "subscript", "override", "final"]
            guard let follower, follower.kind == .word, member.contains(follower.text) else { return nil }
        } else {
            guard Self.accessLevels.contains(word) || Self.plainModifiers.contains(word) else { return nil }
        }
        if let follower, follower.isSymbol("(") {
            let argument = index + 2 < code.count ? code[index + 2].text : ""
            guard ["set", "safe", "unsafe", "nonsending"].contains(argument) else { return nil }
            modifiers.append("\(word)(\(argument))")
            return Self.afterBalanced(from: index + 1, in: code)
        }
        modifiers.append(word)
        return index + 1
    }

    private mutating func readKeyword(at index: Int, in code: [SwiftToken]) -> Bool {
        let token = code[index]
        guard token.kind == .word, Self.keywords.contains(token.text) else { return false }
        keywordIndex = index
        next = index + 1
        let follower = next < code.count ? code[next] : nil
        switch token.text {
        case "init":
            return follower.map { ["(", "<", "?", "!"].contains($0.text) && $0.kind == .symbol } ?? false
        case "subscript":
            return follower.map { $0.isSymbol("(") || $0.isSymbol("<") } ?? false
        case "deinit":
            return follower?.isSymbol("{") ?? false
        case "func":
            // An operator function's name is a run of symbols; leave it unnamed.
            guard let follower, !follower.isSymbol(":"), !follower.isSymbol(",") else { return false }
        case "var", "let", "case":
            // A pattern such as `(a, b)` or `.some` has no single name.
            guard let follower, !follower.isSymbol(":") else { return false }
        default:
            guard let follower, follower.kind == .word || follower.kind == .quoted else { return false }
        }
        if let follower, follower.kind == .word || follower.kind == .quoted {
            name = follower.text
            isQuoted = follower.kind == .quoted
            next += 1
        }
        return true
    }

    /// The index after the parenthesis that closes the one at `index`.
    private static func afterBalanced(from index: Int, in code: [SwiftToken]) -> Int {
        var depth = 0
        var position = index
        while position < code.count {
            if code[position].isSymbol("(") { depth += 1 }
            if code[position].isSymbol(")") { depth -= 1 }
            position += 1
            if depth == 0 { break }
        }
        return position
    }
}
