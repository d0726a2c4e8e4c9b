/// Names that say what a thing is, and access that says who may use it.
enum NamingRules {
    private static let emptyWords: Set<String> = [
        "Util", "Utils", "Helper", "Helpers", "Common", "Manager", "Managers",
    ]

    /// The words of a name in CamelCase.
    static func words(of name: String) -> [String] {
        var words: [String] = []
        for character in name {
            if character.isUppercase || words.isEmpty {
                words.append(String(character))
            } else {
                words[words.count - 1].append(character)
            }
        }
        return words
    }

    static func emptyNames(_ file: SourceFile) -> [Finding] {
        guard file.isInSources || file.isInTests, !file.isData else { return [] }
        let parts = file.folders.dropFirst(2) + [file.stem]
        return parts.compactMap { part in
            let named = part.split(separator: "+").flatMap { words(of: String($0)) }
            guard let word = named.first(where: emptyWords.contains) else { return nil }
            return Finding(
                path: file.path, line: 1, problem: "'\(word)' says nothing; name the file by its type or task")
        }
    }

    /// A type named like its module makes every `Module.Type` ambiguous.
    static func typesNamedLikeTheirModule(_ file: SourceFile) -> [Finding] {
        guard let swift = file.swift, let target = file.target else { return [] }
        return swift.declarations.filter { $0.isType && $0.name == target }.map {
            Finding(path: file.path, line: $0.line, problem: "\($0.keyword) \($0.name) has the name of its module")
        }
    }

    /// One product without an outside API: `package` is the widest access there is.
    static func tooWideAccess(_ file: SourceFile) -> [Finding] {
        guard let swift = file.swift, file.isInSources || file.isInTests, !file.isGenerated else { return [] }
        return swift.declarations.flatMap { declaration in
            declaration.modifiers.filter { $0.hasPrefix("public") || $0.hasPrefix("open") }.map {
                Finding(
                    path: file.path, line: declaration.line, problem: "'\($0)' is banned; the widest access is package")
            }
        }
    }

    /// A test's name is the sentence it proves.
    static func testNames(_ file: SourceFile) -> [Finding] {
        guard let swift = file.swift, file.isInTests else { return [] }
        return swift.declarations.filter { $0.keyword == "func" && $0.attributes.contains("Test") }
            .filter { !$0.isQuoted || !$0.name.contains(" ") }
            .map { Finding(path: file.path, line: $0.line, problem: "the test \($0.name) is not named by a sentence") }
    }
}
