import Testing

@Suite struct `Names` {
    @Test func `no file is named by an empty word`() {
        expectClean(SourceTree.shared.findings(NamingRules.emptyNames))
    }

    @Test func `no type has the name of its module`() {
        expectClean(SourceTree.shared.findings(NamingRules.typesNamedLikeTheirModule))
    }

    @Test func `nothing is wider than package`() {
        expectClean(SourceTree.shared.findings(NamingRules.tooWideAccess))
    }

    @Test func `tests are named by sentences`() {
        expectClean(SourceTree.shared.findings(NamingRules.testNames))
    }

    @Test(arguments: [
        ("Sources/A/Utils.swift", 1), ("Sources/A/StringHelpers.swift", 1), ("Sources/A/LinkManager+Open.swift", 1),
        ("Tests/ATests/Common/X.swift", 1), ("Sources/A/Commonality.swift", 0), ("Sources/A/Manage.swift", 0),
    ])
    func `an empty word is found`(path: String, count: Int) {
        #expect(NamingRules.emptyNames(SourceFile(path: path, text: "")).count == count)
    }

    @Test func `a type named like its module is found`() {
        let text = "enum Wire {}\nstruct Other { struct Wires {} }"
        #expect(NamingRules.typesNamedLikeTheirModule(SourceFile(path: "Sources/Wire/X.swift", text: text)).count == 1)
    }

    @Test(arguments: [
        ("public struct S {}", 1), ("open class C {}", 1), ("public import A", 1), ("@inlinable public func f() {}", 1),
        ("let x = privacy(.public)", 0), ("open(path, flags)", 0), ("case open(lane: Int)\ncase trim", 0),
        ("let open = 1\nfunc f() {}", 0), ("public private(set) var x = 1", 1),
    ])
    func `access wider than package is found`(text: String, count: Int) {
        #expect(NamingRules.tooWideAccess(SourceFile(path: "Sources/Wire/X.swift", text: text)).count == count)
    }

    @Test(arguments: [
        ("@Test func aThing() {}", 1), ("@Test(arguments: [1]) func `word`(x: Int) {}", 1),
        ("@Test func `a thing holds`() {}", 0), ("func notATest() {}", 0),
    ])
    func `a test without a sentence is found`(text: String, count: Int) {
        #expect(NamingRules.testNames(SourceFile(path: "Tests/WireTests/X.swift", text: text)).count == count)
    }
}
