/// Ways around the compiler's guarantees. Each use needs a line in allowed.txt that says why.
enum EscapeRules {
    struct Escape: Hashable {
        let path: String
        let line: Int
        /// The word to put into allowed.txt.
        let word: String
    }

    /// Rooms whose work is raw bytes and C.
    static let unsafeTargets: Set<String> = ["LlamaEngine", "Wire", "Transport", "CLlama", "CLlamaExtras"]

    static func escapes(in file: SourceFile) -> [Escape] {
        guard let code = file.swift?.code, !file.isGenerated else { return [] }
        return code.indices.compactMap { index in
            word(at: index, in: code, of: file).map { Escape(path: file.path, line: code[index].line, word: $0) }
        }
    }

    private static func word(at index: Int, in code: [SwiftToken], of file: SourceFile) -> String? {
        let token = code[index]
        if file.isInTests { return pause(at: index, in: code) }
        guard file.isInSources else { return nil }
        switch token.kind {
        case .symbol where token.text == "!": return forced(at: index, in: code)
        case .word: return named(at: index, in: code) ?? unsafeWord(token, in: file)
        default: return nil
        }
    }

    /// A `!` that touches what precedes it unwraps; a `!` that follows a space or an opening bracket negates.
    private static func forced(at index: Int, in code: [SwiftToken]) -> String? {
        guard index > 0, code[index].touchesPrevious else { return nil }
        let previous = code[index - 1]
        switch previous.kind {
        case .word where previous.text == "try" || previous.text == "as": return previous.text + "!"
        case .word, .quoted, .number, .literal: return "!"
        case .symbol where [")", "]", "}", "?", "!", ">"].contains(previous.text): return "!"
        default: return nil
        }
    }

    private static func named(at index: Int, in code: [SwiftToken]) -> String? {
        func follows(_ symbols: String...) -> Bool {
            let tail = code[(index + 1)...].prefix(symbols.count)
            return tail.count == symbols.count && zip(tail, symbols).allSatisfy { $0.text == $1 && $0.kind != .literal }
        }
        let isMember = index > 0 && code[index - 1].isSymbol(".")
        switch code[index].text {
        case "Task" where !isMember:
            if follows("{") || follows("(") { return "Task {" }
            if follows(".", "detached") { return "Task.detached" }
            if follows(".", "immediate") || follows(".", "init") { return "Task {" }
        case "DispatchQueue": return "DispatchQueue"
        case "unchecked" where index > 0 && code[index - 1].isSymbol("@"): return "@unchecked"
        case "nonisolated" where follows("(", "unsafe"): return "nonisolated(unsafe)"
        case "fatalError" where follows("("): return "fatalError"
        default: break
        }
        return nil
    }

    /// The keyword `unsafe` and every API with the word in its name, outside the rooms made for them.
    private static func unsafeWord(_ token: SwiftToken, in file: SourceFile) -> String? {
        guard let target = file.target, !unsafeTargets.contains(target) else { return nil }
        let text = token.text
        let isUnsafe = text.hasPrefix("unsafe") || text.contains("Unsafe") || text == "Unmanaged"
        return isUnsafe ? "unsafe" : nil
    }

    /// Tests wait for events, never for time.
    private static func pause(at index: Int, in code: [SwiftToken]) -> String? {
        guard code[index].kind == .word, ["sleep", "usleep", "nanosleep"].contains(code[index].text) else { return nil }
        guard index + 1 < code.count, code[index + 1].isSymbol("(") else { return nil }
        return "sleep"
    }

    /// Escapes without an entry, and entries without an escape.
    static func findings(_ escapes: [Escape], allowed: AllowList) -> [Finding] {
        let used = Set(escapes.map { AllowList.Key(path: $0.path, word: $0.word) })
        let unlisted = escapes.filter { !allowed.contains(path: $0.path, word: $0.word) }.map {
            let problem = "`\($0.word)` needs another way, or a line `\($0.path)|\($0.word)|why` in \(AllowList.path)"
            return Finding(path: $0.path, line: $0.line, problem: problem)
        }
        let unused = allowed.entries.filter { !used.contains($0.key) }.map {
            Finding(
                path: AllowList.path, line: $0.line,
                problem: "\($0.key.path) no longer uses `\($0.key.word)`; delete the line")
        }
        return unlisted + unused + allowed.malformed
    }
}
