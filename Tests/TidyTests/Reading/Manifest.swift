/// The target graph as Package.swift's text states it.
struct Manifest: Sendable {
    struct Target: Sendable {
        let name: String
        /// Names of targets and products it may import.
        let dependencies: Set<String>
        /// Declared through the manifest's `pure` function: standard library only.
        let isPure: Bool
    }

    let targets: [Target]

    /// Reads calls of the form `function("Name", [dependencies])` and `.target(name: "Name", dependencies: [ ])`.
    init(_ code: [SwiftToken]) {
        var targets: [Target] = []
        for index in code.indices where code[index].kind == .word {
            var cursor = index + 1
            guard Self.skip("(", at: &cursor, in: code) else { continue }
            Self.skipLabel("name", at: &cursor, in: code)
            guard cursor < code.count, code[cursor].kind == .literal else { continue }
            let name = code[cursor].text
            cursor += 1
            var dependencies: Set<String> = []
            if Self.skip(",", at: &cursor, in: code) {
                Self.skipLabel("dependencies", at: &cursor, in: code)
                dependencies = Self.names(ofArrayAt: cursor, in: code)
            } else if !Self.skip(")", at: &cursor, in: code) {
                continue
            }
            guard Self.declaringFunctions.contains(code[index].text) || !dependencies.isEmpty else { continue }
            targets.append(Target(name: name, dependencies: dependencies, isPure: code[index].text == "pure"))
        }
        self.targets = targets
    }

    /// Functions that declare a target even when it depends on nothing.
    private static let declaringFunctions: Set<String> = [
        "pure", "tests", "io", "target", "testTarget", "executableTarget", "systemLibrary",
    ]

    private static func skip(_ symbol: String, at cursor: inout Int, in code: [SwiftToken]) -> Bool {
        guard cursor < code.count, code[cursor].isSymbol(symbol) else { return false }
        cursor += 1
        return true
    }

    private static func skipLabel(_ label: String, at cursor: inout Int, in code: [SwiftToken]) {
        guard cursor + 1 < code.count, code[cursor].isWord(label), code[cursor + 1].isSymbol(":") else { return }
        cursor += 2
    }

    /// String literals of the array at `index`; the name of a package (label `package:`) is not a module.
    private static func names(ofArrayAt index: Int, in code: [SwiftToken]) -> Set<String> {
        guard index < code.count, code[index].isSymbol("[") else { return [] }
        var names: Set<String> = []
        var depth = 0
        for position in index..<code.count {
            let token = code[position]
            if token.isSymbol("[") { depth += 1 }
            if token.isSymbol("]") { depth -= 1 }
            if depth == 0 { break }
            guard token.kind == .literal, !code[position - 2].isWord("package") else { continue }
            names.insert(token.text)
        }
        return names
    }

    func target(_ name: String) -> Target? { targets.first { $0.name == name } }
}
