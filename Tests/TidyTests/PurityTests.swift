import Testing

@Suite struct `Purity` {
    @Test func `pure targets name no clock, no generator and no identity source`() {
        let manifest = Manifest(SourceTree.shared.file("Package.swift")?.swift?.code ?? [])
        #expect(manifest.targets.contains { $0.isPure })
        expectClean(SourceTree.shared.findings { PurityRules.hiddenInputs($0, manifest: manifest) })
    }

    private static let manifest = Manifest(SwiftSource(bytes: Array("pure(\"A\"); io(\"B\", [])".utf8)).code)

    @Test(arguments: [
        "let c = ContinuousClock()", "SuspendingClock.now", "Date()", "let u = UUID()", "Int.random(in: 0..<3)",
        "var g = SystemRandomNumberGenerator()", "a.shuffled()", "a.randomElement()", "x.hashValue", "var h = Hasher()",
    ])
    func `a hidden input is found in a pure target only`(text: String) {
        let file = SourceFile(path: "Sources/A/X.swift", text: text)
        #expect(PurityRules.hiddenInputs(file, manifest: Self.manifest).count == 1)
        let shell = SourceFile(path: "Sources/B/X.swift", text: text)
        #expect(PurityRules.hiddenInputs(shell, manifest: Self.manifest).isEmpty)
    }

    @Test(arguments: [
        "a.shuffled(using: &random)", "let date = 1", "func random() {}", "// Date()", "\"UUID()\"", "MyDate(1)",
    ])
    func `values given as inputs are left alone`(text: String) {
        let file = SourceFile(path: "Sources/A/X.swift", text: text)
        #expect(PurityRules.hiddenInputs(file, manifest: Self.manifest).isEmpty)
    }
}
