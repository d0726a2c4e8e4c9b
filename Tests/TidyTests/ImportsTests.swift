import Testing

@Suite struct `Imports` {
    private static let manifest = Manifest(SourceTree.shared.file("Package.swift")?.swift?.code ?? [])

    @Test func `targets import only what the manifest grants them`() {
        expectClean(SourceTree.shared.findings { ImportRules.forbiddenImports($0, manifest: Self.manifest) })
    }

    @Test func `every folder of sources and tests is a declared target`() {
        expectClean(ImportRules.undeclaredTargets(SourceTree.shared.files, manifest: Self.manifest))
    }

    @Test func `the manifest's table is read as it is written`() throws {
        let serving = try #require(Self.manifest.target("Serving"))
        #expect(serving.isPure)
        #expect(serving.dependencies == ["Vocabulary"])
        let tests = try #require(Self.manifest.target("ServingTests"))
        #expect(!tests.isPure)
        #expect(tests.dependencies == ["ReferenceEngine", "Serving", "Vocabulary"])
    }

    private static let example = Manifest(
        SwiftSource(
            bytes: Array(
                """
                let a = [pure("A"), pure("B", ["A"], extra: [.strictMemorySafety()]), pure("Dialects", ["A"])]
                let b = [
                    .target(name: "C", dependencies: ["A", .product(name: "NIOCore", package: "swift-nio")]),
                    .systemLibrary(name: "CLlama", pkgConfig: "llama"),
                    .target(name: "LlamaEngine", dependencies: ["CLlama"]), tests("CTests", ["C"]),
                ]
                """.utf8)
        ).code)

    @Test func `all forms of target declarations are understood`() {
        #expect(Self.example.targets.map(\.name) == ["A", "B", "Dialects", "C", "CLlama", "LlamaEngine", "CTests"])
        #expect(Self.example.targets.filter(\.isPure).map(\.name) == ["A", "B", "Dialects"])
        #expect(Self.example.target("C")?.dependencies == ["A", "NIOCore"])
    }

    @Test(arguments: [
        ("Sources/B/X.swift", "import A", 0), ("Sources/A/X.swift", "import B", 1),
        ("Sources/A/X.swift", "import Foundation", 1), ("Sources/C/X.swift", "import Foundation", 0),
        ("Sources/C/X.swift", "import B", 1), ("Sources/C/X.swift", "package import A", 0),
        ("Sources/Dialects/X.swift", "import FoundationEssentials", 0),
        ("Sources/A/X.swift", "@preconcurrency import FoundationEssentials", 1),
        ("Sources/A/X.swift", "import struct Foundation.Date", 1),
        ("Sources/LlamaEngine/X.swift", "import CLlama", 0), ("Sources/C/X.swift", "import CLlama", 1),
        ("Tests/CTests/X.swift", "import XCTest", 1), ("Tests/CTests/X.swift", "@testable import C", 0),
        ("Sources/A/X.swift", "// import Foundation", 0),
    ])
    func `an import against the arrows is found`(path: String, text: String, count: Int) {
        let file = SourceFile(path: path, text: text)
        #expect(ImportRules.forbiddenImports(file, manifest: Self.example).count == count)
    }

    @Test func `a folder without a target is found`() {
        let files = [SourceFile(path: "Sources/A/X.swift", text: ""), SourceFile(path: "Sources/Z/X.swift", text: "")]
        #expect(ImportRules.undeclaredTargets(files, manifest: Self.example).count == 1)
    }
}
