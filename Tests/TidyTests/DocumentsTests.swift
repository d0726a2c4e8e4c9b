import Testing

@Suite struct `Documents` {
    private static let tree = SourceTree.shared

    @Test func `every path named in the architecture exists`() throws {
        let architecture = try #require(Self.tree.file("ARCHITECTURE.md"))
        expectClean(DocumentRules.missingPaths(architecture, exists: Self.tree.exists))
    }

    @Test func `every relative link leads somewhere`() {
        expectClean(Self.tree.findings { DocumentRules.brokenLinks($0, exists: Self.tree.exists) })
    }

    @Test func `every type of the glossary is declared`() throws {
        let glossary = try #require(Self.tree.file("GLOSSARY.md"))
        let declared = Self.tree.files.filter(\.isInSources).flatMap { $0.swift?.declarations ?? [] }
        expectClean(DocumentRules.missingTypes(glossary, declared: Set(declared.filter(\.isType).map(\.name))))
    }

    @Test func `a path that does not exist is found`() {
        let text = "See `Sources/Wire/Gone.swift` and `Sources/Wire`, not `tokens / s`, `/v1/models` or `GET /x`."
        let file = SourceFile(path: "ARCHITECTURE.md", text: text)
        #expect(DocumentRules.missingPaths(file) { _ in false }.count == 2)
        #expect(DocumentRules.missingPaths(file) { $0 == "Sources/Wire" }.count == 1)
    }

    @Test func `a link that leads nowhere is found`() {
        let text = "[a](../README.md) [b](decisions/x.md#part) [c](https://example.org/x) [d](#here)"
        let file = SourceFile(path: "docs/x.md", text: text)
        #expect(DocumentRules.brokenLinks(file) { $0 == "README.md" || $0 == "docs/decisions/x.md" }.isEmpty)
        #expect(DocumentRules.brokenLinks(file) { _ in false }.count == 2)
    }

    @Test func `a type that is not declared is found, in the column of types only`() {
        let text = "| Word | Type |\n|---|---|\n| `cut` | `Cut`, `Gone` |\n| x | – |\n| y | `A.Prompt` |"
        let file = SourceFile(path: "GLOSSARY.md", text: text)
        #expect(DocumentRules.missingTypes(file, declared: ["Cut", "Prompt"]).count == 1)
    }
}
