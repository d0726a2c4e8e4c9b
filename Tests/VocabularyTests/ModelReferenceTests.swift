import Testing
import Vocabulary

@Suite struct `What clients write for a model` {
    private static let digest = String(repeating: "a1", count: 32)

    private static let forms: [(String, ModelReference.Form)] = [
        ("auto", .any), ("auto:latest", .any),
        (digest, .digest(digest)), ("sha256:\(digest)", .digest(digest)), ("sha256-\(digest)", .digest(digest)),
        ("skein-tiny", .name("skein-tiny", tag: nil)), ("llama3:8b", .name("llama3", tag: "8b")),
        ("a:b:c", .name("a:b", tag: "c")), ("modèle 7", .name("modèle 7", tag: nil)),
        ("模型", .name("模型", tag: nil)), ("AUTO", .name("AUTO", tag: nil)),
        ("space/sub/name:tag", .name("space/sub/name", tag: "tag")),
    ]

    @Test(arguments: forms) func `names, tags, digests and auto are told apart`(
        text: String, form: ModelReference.Form
    ) throws {
        #expect(try ModelReference(text).form == form)
        #expect(try ModelReference(text).description == text)
    }

    private static let sources: [(String, [String?])] = [
        ("Qwen/Qwen3-0.6B", ["Qwen", "Qwen3-0.6B", nil, nil]),
        ("Qwen/Qwen3-0.6B:Q4_K_M", ["Qwen", "Qwen3-0.6B", nil, "Q4_K_M"]),
        ("Qwen/Qwen3-0.6B@main", ["Qwen", "Qwen3-0.6B", "main", nil]),
        ("Qwen/Qwen3-0.6B@v1.2:Q8_0", ["Qwen", "Qwen3-0.6B", "v1.2", "Q8_0"]),
        ("a/b@refs/pr/1:f16", ["a", "b", "refs/pr/1", "f16"]),
        ("hub.example/Qwen/Qwen3:latest", ["Qwen", "Qwen3", nil, "latest"]),
    ]

    @Test(arguments: sources) func `where a model comes from has two to four parts`(text: String, parts: [String?])
        throws
    {
        guard case .source(let source) = try ModelReference(text).form else {
            Issue.record("\(text) is read as \(try ModelReference(text).form)")
            return
        }
        #expect([source.organization, source.repository, source.revision, source.quantization] == parts)
        if !text.hasPrefix("hub") { #expect(source.description == text) }
    }

    private static let bad = [
        ".", "..", "/models/x.gguf", "~/x", "a/b/c/d", "a//b", "a/b/..", "a/b/-c:t", "/a/b", "a/", "a/b@", "a/b:",
        "a/b@x:", "a/b@:q",
        "a/b@..", "a/b@x/../y", "../b", "a/..", ".a/b", "-a/b", "a/-b", "a/b:q:r", "a/b:q r", "a/b@x y", "ü/b", "a/ü",
        "a/b@ü", "a/b:ü", "name@main", ":tag", "name:", "a b/c", "a/b@\(String(repeating: "x", count: 129))",
        "\(String(repeating: "x", count: 97))/b", "a/b:\(String(repeating: "q", count: 33))",
    ]

    @Test(arguments: bad) func `what can be no reference is refused with the reason`(text: String) {
        #expect {
            try ModelReference(text)
        } throws: { error in
            guard case .malformed(let name, let reason) = error as? ModelNameError else { return false }
            return name == text && !reason.isEmpty
        }
    }

    @Test(
        arguments: [
            ("a\u{0}b", 0), ("a\nb", 0xA), ("a\u{7F}", 0x7F), ("a\u{85}", 0x85), ("a\u{200B}b", 0x200B),
            ("\u{202E}abc", 0x202E), ("a\u{FEFF}", 0xFEFF), ("a\u{2028}b", 0x2028), ("a\u{E000}", 0xE000),
            ("a\\b", 0x5C),
            ("a\u{1B}[31m", 0x1B), ("org/re\tpo", 9),
        ] as [(String, UInt32)]) func `characters nobody sees are refused by number`(text: String, code: UInt32)
    {
        #expect {
            try ModelReference(text)
        } throws: { error in
            guard case .character(let found, let offset) = error as? ModelNameError else { return false }
            return found == code && Array(text.unicodeScalars)[offset].value == code
        }
    }

    @Test func `a name has a length`() throws {
        #expect(throws: ModelNameError.empty) { try ModelReference("") }
        let longest = String(repeating: "x", count: 256)
        #expect(try ModelReference(longest).text == longest)
        #expect(throws: ModelNameError.tooLong(bytes: 257, limit: 256)) { try ModelReference(longest + "x") }
        #expect(throws: ModelNameError.tooLong(bytes: 10 << 20, limit: 256)) {
            try ModelReference(String(repeating: "y", count: 10 << 20))
        }
    }

    @Test func `a new name means nothing else already`() throws {
        for name in ["gpt-4o", "llama3:8b", "space/name:tag", "ein Modell"] { try ModelReference.check(newName: name) }
        for name in ["auto", "auto:latest", Self.digest, "org/repo@main", "", "/x", "a\nb"] {
            #expect(throws: ModelNameError.self) { try ModelReference.check(newName: name) }
        }
    }

    @Test(
        arguments: [
            ("https://hub.example/Qwen/Qwen3-0.6B-GGUF", "Qwen/Qwen3-0.6B-GGUF"),
            ("https://hub.example/Qwen/Qwen3/", "Qwen/Qwen3"), ("http://h/a/b?x=1#y", "a/b"), ("a/b", "a/b"),
            ("https://hub.example/a/b/tree/0123abc", "a/b@0123abc"), ("https://h/a/b/blob/main/x.gguf", "a/b@main"),
            ("https://h/a/b/resolve/v1/x.gguf", "a/b@v1"), ("https://hub.example/unsloth", nil), ("https://h", nil),
            ("", nil), ("https://h/a/b/tree", nil), ("https://h/a b/c", nil), ("https://h/../b", nil),
        ] as [(String, String?)]) func `the address of a repository is read`(address: String, source: String?)
    {
        #expect(ModelSource(address: address)?.description == source)
    }

    @Test func `a very long address is no repository`() {
        #expect(ModelSource(address: "https://h/a/b?" + String(repeating: "x", count: 2000)) == nil)
    }

    @Test(
        arguments: [
            ("/c/hub/models--Qwen--Qwen3-0.6B-GGUF/snapshots/0123abcd/x.gguf", "Qwen/Qwen3-0.6B-GGUF@0123abcd"),
            ("/c/models--a--b--c/snapshots/r/sub/x.gguf", "a/b--c@r"), ("/c/models--a--b/blobs/0123/x", nil),
            ("/c/models--gpt2/snapshots/r/x.gguf", nil), ("/c/models--a--b/snapshots/r", nil), ("/x.gguf", nil),
        ] as [(String, String?)]) func `a file in a hub's cache tells repository and revision`(
            path: String, source: String?
        )
    {
        #expect(ModelSource(cachePath: path)?.description == source)
    }
}
