import Testing

@Suite struct `Escapes` {
    @Test func `every way around the compiler is listed with its reason, and every entry is used`() {
        let allowed = AllowList(lines: SourceTree.shared.file(AllowList.path)?.lines ?? [])
        expectClean(EscapeRules.findings(SourceTree.shared.files.flatMap(EscapeRules.escapes), allowed: allowed))
    }

    private static func words(_ text: String, path: String = "Sources/Serving/X.swift") -> [String] {
        EscapeRules.escapes(in: SourceFile(path: path, text: text)).map(\.word)
    }

    @Test(arguments: [
        ("let a = try! f()", "try!"), ("let a = b as! C", "as!"), ("let a = b!", "!"), ("a!.b()", "!"),
        ("f(a)!.b", "!"), ("a[0]! += 1", "!"), ("let a: Int!", "!"), ("f { $0! }", "!"), ("a?.b!", "!"),
        ("\"\\(a!)\"", "!"), ("Task { }", "Task {"), ("Task(priority: .high) { }", "Task {"),
        ("Task.detached { }", "Task.detached"), ("DispatchQueue.main.async {}", "DispatchQueue"),
        ("struct S: @unchecked Sendable {}", "@unchecked"), ("nonisolated(unsafe) var x = 1", "nonisolated(unsafe)"),
        ("fatalError(\"x\")", "fatalError"), ("let a = unsafe f()", "unsafe"),
        ("a.withUnsafeBytes { _ in }", "unsafe"), ("let p: UnsafePointer<Int>", "unsafe"),
    ])
    func `an escape is found`(text: String, word: String) {
        #expect(Self.words(text).first == word)
        let file = SourceFile(path: "Sources/Serving/X.swift", text: text)
        #expect(!EscapeRules.findings(EscapeRules.escapes(in: file), allowed: AllowList(lines: [])).isEmpty)
    }

    @Test(arguments: [
        "if !a { b = c != d }", "f(!a, !b)", "#if !os(Linux)", "let s = \"wow!\" // a!", "let s = \"\\(a)!\"",
        "func f() -> Task<Void, Never>", "x.Task { }", "group.addTask { }", "/* try! */", "a = try? b as? C",
        "\"\"\"\n  fatalError(\"no!\")\n  \"\"\"", "let r = /a!/", "#\"a\"b!\"#", "return !a", "fatalErrors()",
    ])
    func `what only looks like an escape is left alone`(text: String) {
        #expect(Self.words(text).isEmpty)
    }

    @Test func `raw bytes are at home in their rooms`() {
        #expect(Self.words("let a = unsafe f()", path: "Sources/Wire/X.swift").isEmpty)
        #expect(Self.words("let a = b!", path: "Sources/Wire/X.swift") == ["!"])
    }

    @Test func `tests do not sleep`() {
        let path = "Tests/ServingTests/X.swift"
        #expect(Self.words("try await Task.sleep(for: .seconds(1)); usleep(3)", path: path) == ["sleep", "sleep"])
        #expect(Self.words("let x = y!; sleeper(); // sleep(1)", path: path).isEmpty)
    }

    @Test func `entries are matched, and unused, repeated or broken ones are found`() {
        let escapes = EscapeRules.escapes(in: SourceFile(path: "Sources/Serving/X.swift", text: "let a = b!"))
        let good = "Sources/Serving/X.swift|!|checked above"
        #expect(EscapeRules.findings(escapes, allowed: AllowList(lines: ["# why", "", good])).isEmpty)
        #expect(EscapeRules.findings(escapes, allowed: AllowList(lines: [])).count == 1)
        #expect(EscapeRules.findings([], allowed: AllowList(lines: [good])).count == 1)
        #expect(EscapeRules.findings(escapes, allowed: AllowList(lines: [good, good])).count == 1)
        #expect(
            EscapeRules.findings(escapes, allowed: AllowList(lines: [good, "Sources/Serving/X.swift|!"])).count == 1)
        #expect(EscapeRules.findings(escapes, allowed: AllowList(lines: ["Sources/Serving/X.swift|!| "])).count == 2)
    }
}
