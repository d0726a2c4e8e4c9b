import Testing

@Suite struct `Sizes` {
    @Test func `files stay within the line limit`() {
        expectClean(SourceTree.shared.findings(SizeRules.longFiles))
    }

    @Test func `functions stay within the line limit`() {
        expectClean(SourceTree.shared.findings(SizeRules.longFunctions))
    }

    @Test func `lines stay within the column limit`() {
        expectClean(SourceTree.shared.findings(SizeRules.longLines))
    }

    @Test func `a file one line too long is found, in code only`() {
        let text = String(repeating: "// x\n", count: SizeRules.fileLineLimit + 1)
        #expect(SizeRules.longFiles(SourceFile(path: "Sources/Wire/X.swift", text: text)).count == 1)
        #expect(SizeRules.longFiles(SourceFile(path: "Sources/Wire/X.pb.swift", text: text)).isEmpty)
        #expect(SizeRules.longFiles(SourceFile(path: "docs/x.md", text: text)).isEmpty)
        let atLimit = String(repeating: "// x\n", count: SizeRules.fileLineLimit)
        #expect(SizeRules.longFiles(SourceFile(path: "Sources/Wire/X.swift", text: atLimit)).isEmpty)
    }

    @Test(arguments: [
        "func f(g: () -> Void = {}) throws(E) -> [Int] {", "init?(x: Int) where T: P {", "deinit {", "var v: Int {",
        "subscript(i: Int) -> Int {",
    ])
    func `a function one line too long is found`(signature: String) {
        func file(bodyLines: Int) -> SourceFile {
            // Braces in strings, comments and interpolations must not end the body early.
            let odd = "    let s = \"}} \\(x.map { $0 }) \\\"}\" // }\n    /* } */ let r = /[}]/ ; let t = #\"}\"}\"#\n"
            let body = odd + String(repeating: "    if a { b }\n", count: bodyLines - 2)
            return SourceFile(
                path: "Sources/Wire/X.swift", text: "struct S {\n    \(signature)\n\(body)    }\n    let z = 1\n}\n")
        }
        let limit = SizeRules.functionLineLimit
        #expect(SizeRules.longFunctions(file(bodyLines: limit - 2)).isEmpty)
        #expect(SizeRules.longFunctions(file(bodyLines: limit - 1)).map(\.line) == [2])
    }

    @Test func `protocol requirements and stored properties have no body`() {
        let filler = String(repeating: "    let x = 1\n", count: 100)
        let text = """
            protocol P {
                func f() throws -> Int
                var v: Int { get }
                init(x: Int)
            \(filler)}
            struct S {
                var stored: Int
                var assigned = make { 1 }
            \(filler)}
            """
        #expect(SizeRules.longFunctions(SourceFile(path: "Sources/Wire/X.swift", text: text)).isEmpty)
    }

    @Test func `a line one column too long is found, in characters, outside of tables`() {
        let long = String(repeating: "é", count: SizeRules.columnLimit + 1)
        let right = String(repeating: "é", count: SizeRules.columnLimit)
        #expect(SizeRules.longLines(SourceFile(path: "Sources/Wire/X.swift", text: right)).isEmpty)
        #expect(
            SizeRules.longLines(SourceFile(path: "Sources/Wire/X.swift", text: right + "\n" + long)).map(\.line) == [2])
        #expect(SizeRules.longLines(SourceFile(path: "docs/x.md", text: long)).count == 1)
        #expect(SizeRules.longLines(SourceFile(path: "docs/x.md", text: "| \(long) |\n```\n\(long)\n```")).isEmpty)
    }
}
