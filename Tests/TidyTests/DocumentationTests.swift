import Testing

@Suite struct `Documentation` {
    @Test func `every declaration other targets can see has a doc comment`() {
        expectClean(SourceTree.shared.findings(DocumentationRules.missingComments))
    }

    @Test func `doc comments of throwing functions say what is thrown`() {
        expectClean(SourceTree.shared.findings(DocumentationRules.unmentionedErrors))
    }

    @Test func `doc comments of functions over floats say their shape`() {
        expectClean(SourceTree.shared.findings(DocumentationRules.unmentionedShapes))
    }

    private static func file(_ text: String) -> SourceFile { SourceFile(path: "Sources/Wire/X.swift", text: text) }

    @Test(arguments: [
        "package struct S {}", "package init(x: Int) {}", "package static func f() {}", "static package let x = 1",
        "package private(set) var x = 1", "package subscript(i: Int) -> Int { 0 }", "package typealias T = Int",
        "package extension Int {}", "@inlinable package func f() {}", "@available(*, deprecated)\npackage func f() {}",
        "package static func == (a: S, b: S) -> Bool { true }", "package let (a, b) = (1, 2)",
        "package class func f() {}", "package final class C {}", "package protocol P {}", "package actor A {}",
        "package nonisolated(unsafe) var x = 1", "package indirect enum E {}", "package macro m()",
    ])
    func `a package declaration without a doc comment is found`(declaration: String) {
        #expect(DocumentationRules.missingComments(Self.file(declaration)).count == 1)
        #expect(DocumentationRules.missingComments(Self.file("/// What it is.\n" + declaration)).isEmpty)
        #expect(DocumentationRules.missingComments(Self.file("// Not a doc comment.\n" + declaration)).count == 1)
        #expect(DocumentationRules.missingComments(Self.file("/// Far away.\n\n" + declaration)).count == 1)
        #expect(DocumentationRules.missingComments(Self.file("///\n" + declaration)).count == 1)
        #expect(DocumentationRules.missingComments(Self.file("/// Doc.\n// plain\n" + declaration)).isEmpty)
        #expect(DocumentationRules.missingComments(Self.file("struct O {\n    \(declaration)\n}")).count == 1)
    }

    @Test func `a doc comment may stand between attributes`() {
        let text = "@frozen\n/// What it is.\n@usableFromInline\npackage struct S {}"
        #expect(DocumentationRules.missingComments(Self.file(text)).isEmpty)
    }

    @Test func `what other targets cannot see owes no comment`() {
        let text = """
            package import Vocabulary
            struct S { let package = 1; func f(package: Int) { g(package: 1); x.package() } }
            internal package(set) var x = 1
            // package func commented()
            let s = "package func quoted()"
            """
        #expect(DocumentationRules.missingComments(Self.file(text)).isEmpty)
    }

    @Test func `cases, requirements and members of package extensions are seen without the word`() {
        let text = """
            /// E.
            package enum E {
                case undocumented
                /// Documented.
                case documented(Int)
                func f() { switch self { case .undocumented: break
                    case .documented: break } }
            }
            /// P.
            package protocol P {
                var undocumented: Int { get }
                func undocumented() throws(E)
                associatedtype Undocumented
            }
            /// X.
            package extension Int {
                func undocumented() { let local = 1 }
                private func hidden() {}
            }
            enum Internal { case a }
            """
        #expect(DocumentationRules.missingComments(Self.file(text)).map(\.line) == [3, 11, 12, 13, 17])
    }

    @Test func `plain cases may share a comment, line by line, and numbers are covered by their enum`() {
        let text = """
            /// E.
            package enum E: UInt8 {
                /// Formats.
                case a
                case b
                case payload(Int)
                case behindPayload

                /// More.
                case c

                case behindGap
            }
            /// Numbers on the wire.
            package enum N: UInt8 {
                case a = 1
                case b = 2, c = 3
                case text = "d"
                case payload(Int)
            }
            """
        #expect(DocumentationRules.missingComments(Self.file(text)).map(\.line) == [6, 7, 12, 19])
    }

    @Test(arguments: ["throws", "throws(WireError)", "async throws(WireError) -> Int", "throws -> Int where T: P"])
    func `a doc comment that hides an error is found`(effects: String) {
        let signature = "package func f(body: () throws -> Void) \(effects) {}"
        #expect(DocumentationRules.unmentionedErrors(Self.file("/// Does it.\n" + signature)).count == 1)
        #expect(DocumentationRules.unmentionedErrors(Self.file("/// **Throws:** often.\n" + signature)).isEmpty)
    }

    @Test(arguments: ["func f(body: () throws -> Void) {}", "func f() throws(Never) {}", "func f() { try? g() }"])
    func `functions that throw nothing need not say so`(signature: String) {
        #expect(DocumentationRules.unmentionedErrors(Self.file("/// Does it.\npackage \(signature)")).isEmpty)
    }

    @Test(arguments: [
        "func f(rows: Span<Float>) {}", "var rows: [Float] = []", "init(into: inout MutableSpan<Float>) {}",
    ])
    func `a doc comment that hides a shape is found`(signature: String) {
        #expect(DocumentationRules.unmentionedShapes(Self.file("/// Does it.\npackage \(signature)")).count == 1)
        #expect(DocumentationRules.unmentionedShapes(Self.file("/// **Shape:** `[n]`.\npackage \(signature)")).isEmpty)
    }
}
