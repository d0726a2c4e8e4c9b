/// What a caller must know stands at the declaration: `package` is this project's `public`.
enum DocumentationRules {
    /// Whether a caller in another target can see the declaration.
    ///
    /// Besides what says `package` itself: the cases of package enums, the requirements of package protocols and the
    /// members of package extensions are visible without saying so, so they owe a comment too. Two kinds of cases may
    /// do without: a name with its number (the enum's own comment says whose numbers they are), and a name without
    /// payload on the line below one that has a comment, which they then share.
    static func isVisible(_ declaration: Declaration, in swift: SwiftSource) -> Bool {
        if declaration.keyword == "import" { return false }
        if declaration.modifiers.contains("package") { return true }
        guard let parent = swift.parent(of: declaration), parent.modifiers.contains("package") else { return false }
        switch parent.keyword {
        case "enum": return declaration.keyword == "case"
        case "protocol": return true
        case "extension":
            return declaration.modifiers.allSatisfy { !["internal", "fileprivate", "private"].contains($0) }
        default: return false
        }
    }

    private static func visible(_ file: SourceFile) -> [(declaration: Declaration, swift: SwiftSource)] {
        guard let swift = file.swift, file.isInSources, !file.isGenerated else { return [] }
        return swift.declarations.filter { isVisible($0, in: swift) }.map { ($0, swift) }
    }

    private static func title(_ declaration: Declaration) -> String {
        declaration.name.isEmpty ? declaration.keyword : "\(declaration.keyword) \(declaration.name)"
    }

    static func missingComments(_ file: SourceFile) -> [Finding] {
        var covered: (enclosing: Int?, line: Int)?
        return visible(file).compactMap { declaration, swift in
            let form = caseForm(of: declaration, in: swift)
            let continuesRun = covered?.enclosing == declaration.enclosing && covered?.line == declaration.line - 1
            let hasComment = !(declaration.documentation ?? "").allSatisfy(\.isWhitespace)
            let isCovered = hasComment || form == .numbered || (form == .plain && continuesRun)
            if form != .other, isCovered { covered = (declaration.enclosing, declaration.line) }
            guard !isCovered else { return nil }
            let problem = "\(title(declaration)) is visible to other targets and has no doc comment directly above it"
            return Finding(path: file.path, line: declaration.line, problem: problem)
        }
    }

    private enum CaseForm {
        /// A name with a number of its own, as on the wire or in a file.
        case numbered
        /// A name alone.
        case plain
        /// A case with payload, or no case at all.
        case other
    }

    private static func caseForm(of declaration: Declaration, in swift: SwiftSource) -> CaseForm {
        let end = declaration.signature.upperBound
        guard declaration.keyword == "case", !swift.code[declaration.signature].contains(where: { $0.isSymbol("(") })
        else { return .other }
        let isNumbered =
            end + 1 < swift.code.count && swift.code[end].isSymbol("=") && swift.code[end + 1].kind == .number
        return isNumbered ? .numbered : .plain
    }

    static func unmentionedErrors(_ file: SourceFile) -> [Finding] {
        visible(file).compactMap { declaration, swift in
            guard throwsErrors(swift.code[declaration.signature]) else { return nil }
            // A missing comment is reported by the rule above.
            guard let text = declaration.documentation, !text.contains("Throws") else { return nil }
            let problem = "\(title(declaration)) throws; its doc comment does not say what and when (**Throws:** …)"
            return Finding(path: file.path, line: declaration.line, problem: problem)
        }
    }

    /// Rows of floats mean nothing without their shape.
    static func unmentionedShapes(_ file: SourceFile) -> [Finding] {
        visible(file).compactMap { declaration, swift in
            guard mentionsFloats(swift.code[declaration.signature]) else { return nil }
            guard let text = declaration.documentation, !text.contains("Shape") else { return nil }
            let problem = "\(title(declaration)) passes floats; its doc comment does not say their **Shape:**"
            return Finding(path: file.path, line: declaration.line, problem: problem)
        }
    }

    /// `throws` of the declaration itself, not of a closure parameter; `throws(Never)` does not throw.
    private static func throwsErrors(_ signature: ArraySlice<SwiftToken>) -> Bool {
        var depth = 0
        for (index, token) in zip(signature.indices, signature) where token.kind == .word || token.kind == .symbol {
            if token.text == "(" || token.text == "[" { depth += 1 }
            if token.text == ")" || token.text == "]" { depth -= 1 }
            guard depth == 0, token.isWord("throws") else { continue }
            return index + 2 >= signature.endIndex || !signature[index + 2].isWord("Never")
        }
        return false
    }

    /// `Span<Float>`, `MutableSpan<Float>`, `OutputSpan<Float>` or `[Float]` anywhere in the signature.
    private static func mentionsFloats(_ signature: ArraySlice<SwiftToken>) -> Bool {
        signature.indices.dropFirst().contains { index in
            guard signature[index].isWord("Float"), index + 1 < signature.endIndex else { return false }
            let before = signature[index - 1]
            if before.isSymbol("[") { return signature[index + 1].isSymbol("]") }
            guard before.isSymbol("<"), index - 2 >= signature.startIndex else { return false }
            return signature[index - 2].text.hasSuffix("Span")
        }
    }
}
