import Testing
import Vocabulary

@Suite struct `Which model a name means` {
    private static func digest(_ letter: Character) -> String { String(repeating: letter, count: 64) }

    private static func model(
        _ id: String, _ standing: NamedModel.Standing, aliases: [String] = [], _ sources: [String] = [],
        _ quantization: String = "", _ digest: Character? = nil
    ) -> NamedModel {
        NamedModel(
            id: id, standing: standing, aliases: aliases, sources: sources.compactMap { try? ModelSource($0) },
            quantization: quantization, digest: digest.map(Self.digest) ?? "")
    }

    private static let catalogue = [
        model("skein-tiny", .own, aliases: ["tiny", "gpt-4o"], [], "Q8_0", "1"),
        model("pirate", .made),
        model("chat", .deployed, aliases: ["Assistant", "space/bot:v1"], ["Qwen/Qwen3@c0ffee:Q4_K_M"], "Q4_K_M", "2"),
        model("llama3:latest", .deployed, [], "Q5_0", "3"),
        model("Qwen3-Q4_K_M", .local, ["Qwen/Qwen3@c0ffee"], "Q4_K_M", "2"),
        model("Qwen3-Q8_0", .local, ["Qwen/Qwen3@c0ffee"], "Q8_0", "4"),
        model("Qwen3-old", .remote, ["Qwen/Qwen3@main"], "Q8_0", "5"),
        model("mistral", .remote, ["mistral/Small"], "Q4_0", "6"),
        model("twice", .remote, [], "Q4_0", "7"), model("twice", .remote, ["some/Where"], "Q8_0", "8"),
        model("mine", .local, [], "Q6_K", "9"), model("mine", .remote, [], "Q2_K", "a"),
        model("Case", .deployed, [], "", "b"), model("case", .deployed, [], "", "c"),
        model("phi", .deployed, aliases: ["shared"], [], "Q4_0", "d"),
        model("phi-2", .deployed, aliases: ["shared"], [], "Q4_0", "e"),
    ]
    private static let resolver = ModelResolver(catalogue, preferred: "skein-tiny")

    private static let found: [(String, String)] = [
        // As it is; own before cluster, files here before those elsewhere.
        ("skein-tiny", "1"), ("pirate", "-"), ("llama3:latest", "3"), ("Qwen3-Q8_0", "4"), ("mine", "9"),
        ("Case", "b"), ("case", "c"), ("auto", "1"), ("auto:latest", "1"),
        // Aliases.
        ("tiny", "1"), ("gpt-4o", "1"), ("Assistant", "2"), ("space/bot:v1", "2"),
        // Latest, on either side.
        ("skein-tiny:latest", "1"), ("tiny:latest", "1"), ("llama3", "3"), ("pirate:latest", "-"),
        // Other cases of letters, where that is not ambiguous.
        ("SKEIN-Tiny", "1"), ("GPT-4O", "1"), ("assistant", "2"), ("LLAMA3", "3"), ("Skein-Tiny:LATEST", "1"),
        ("SPACE/BOT:V1", "2"),
        // Name and quantisation.
        ("skein-tiny:q8_0", "1"), ("tiny:Q8_0", "1"), ("mistral:Q4_0", "6"),
        // Digests.
        (digest("4"), "4"), ("sha256:" + digest("8"), "8"), (digest("2"), "2"),
        // Where they come from: the same content deployed and on disk is one model.
        ("Qwen/Qwen3@c0ffee:Q4_K_M", "2"), ("qwen/QWEN3:q4_k_m", "2"), ("Qwen/Qwen3@c0ffee:Q8_0", "4"),
        ("Qwen/Qwen3@main", "5"), ("Qwen/Qwen3@main:Q8_0", "5"), ("mistral/Small", "6"), ("mistral/small:latest", "6"),
        ("hub.example/mistral/Small:latest", "6"), ("some/Where", "8"),
    ]

    @Test(arguments: found) func `a name finds its model`(name: String, letter: String) throws {
        let model = try Self.resolver.resolve(name)
        #expect(model.digest == (letter == "-" ? "" : String(repeating: letter, count: 64)))
        if letter == "-" { #expect(model.id == "pirate") }
        if name == "Qwen/Qwen3@c0ffee:Q4_K_M" { #expect(model.id == "chat") }
    }

    private static let refused: [(String, ModelNameError)] = [
        (
            "Qwen/Qwen3",
            .ambiguous(
                name: "Qwen/Qwen3",
                candidates: ["Qwen/Qwen3@c0ffee:Q4_K_M", "Qwen/Qwen3@c0ffee:Q8_0", "Qwen/Qwen3@main:Q8_0"])
        ),
        (
            "Qwen/Qwen3:q8_0",
            .ambiguous(name: "Qwen/Qwen3:q8_0", candidates: ["Qwen/Qwen3@c0ffee:Q8_0", "Qwen/Qwen3@main:Q8_0"])
        ),
        (
            "Qwen/Qwen3@c0ffee",
            .ambiguous(
                name: "Qwen/Qwen3@c0ffee", candidates: ["Qwen/Qwen3@c0ffee:Q4_K_M", "Qwen/Qwen3@c0ffee:Q8_0"])
        ),
        ("twice", .ambiguous(name: "twice", candidates: [digest("7"), digest("8")])),
        ("CASE", .ambiguous(name: "CASE", candidates: ["Case", "case"])),
        ("shared", .ambiguous(name: "shared", candidates: ["phi", "phi-2"])),
        ("Qwen/Qwen3@MAIN", .otherRevision(repository: "Qwen/Qwen3", asked: "MAIN", present: ["c0ffee", "main"])),
        ("Qwen/Qwen3@c0ff", .otherRevision(repository: "Qwen/Qwen3", asked: "c0ff", present: ["c0ffee", "main"])),
        (
            "mistral/Small@main",
            .otherRevision(repository: "mistral/Small", asked: "main", present: ["one that nobody named"])
        ),
        (
            "Qwen/Qwen3@main:Q4_K_M",
            .otherQuantization(model: "Qwen/Qwen3@main", asked: "Q4_K_M", present: ["Q8_0"])
        ),
        ("Qwen/Qwen3:F16", .otherQuantization(model: "Qwen/Qwen3", asked: "F16", present: ["Q4_K_M", "Q8_0"])),
        ("skein-tiny:F16", .otherQuantization(model: "skein-tiny", asked: "F16", present: ["Q8_0"])),
        ("", .empty), ("a/..", .malformed(name: "a/..", reason: "")), ("a\n", .character(code: 10, offset: 1)),
        (String(repeating: "x", count: 300), .tooLong(bytes: 300, limit: 256)),
    ]

    @Test(arguments: refused) func `a name that means none or several is refused with what there is`(
        name: String, expected: ModelNameError
    ) {
        #expect {
            try Self.resolver.resolve(name)
        } throws: { error in
            if case .malformed = expected, case .malformed = error as? ModelNameError { return true }
            return error as? ModelNameError == expected
        }
    }

    @Test(arguments: ["nothing", "other/Repo", digest("0"), "nothing:latest", "pirate:Q8_0", "qwen3"])
    func `an unknown name lists what there is, each once`(name: String) {
        #expect {
            try Self.resolver.resolve(name)
        } throws: { error in
            guard case .unknown(name, let available) = error as? ModelNameError else { return false }
            return available.first == "skein-tiny" && Set(available).count == available.count
        }
    }

    @Test func `an error lists at most 32 names`() {
        let many = (0..<100).map { Self.model("m\($0)", .local, aliases: ["x"]) }
        #expect {
            try ModelResolver(many).resolve("y")
        } throws: { error in
            guard case .unknown(_, let available) = error as? ModelNameError else { return false }
            return available.count == 32
        }
        #expect {
            try ModelResolver(many).resolve("x")
        } throws: { error in
            guard case .ambiguous(_, let candidates) = error as? ModelNameError else { return false }
            return candidates.count == 32
        }
    }

    @Test func `auto without anything is unknown`() {
        #expect(throws: ModelNameError.unknown(name: "auto", available: [])) { try ModelResolver([]).resolve("auto") }
    }

    @Test func `the canonical name finds the model again`() throws {
        for model in Self.catalogue where !model.digest.isEmpty {
            let name = Self.resolver.canonicalName(of: model)
            #expect(try Self.resolver.resolve(name).digest == model.digest)
        }
        #expect(Self.resolver.canonicalName(of: Self.catalogue[8]) == Self.digest("7"))
        #expect(Self.resolver.canonicalName(of: Self.catalogue[5]) == "Qwen3-Q8_0")
    }

    @Test func `what a request gets names the candidates`() {
        let several = GenerationError(.ambiguous(name: "x", candidates: ["a", "b"]))
        #expect(several == .modelAmbiguous(name: "x", candidates: ["a", "b"]))
        #expect(several.description == "Model 'x' may mean several; name one of: a, b.")
        #expect(
            GenerationError(.otherRevision(repository: "o/r", asked: "z", present: ["y"]))
                == .modelNotFound(name: "o/r@z", available: ["y"]))
        for error in [
            ModelNameError.empty, .tooLong(bytes: 9, limit: 8), .character(code: 7, offset: 1),
            .malformed(name: "..", reason: "it is a folder"),
        ] {
            guard case .invalidField("model", _, _) = GenerationError(error) else {
                Issue.record("\(error) becomes \(GenerationError(error))")
                continue
            }
            #expect(error.description.hasSuffix("."))
        }
        #expect(
            GenerationError(ModelNameError.character(code: 7, offset: 1)).description
                == "model is a text with the character U+0007 at place 1; no name has it.")
        #expect(ModelNameError.character(code: 7, offset: 1).description.contains("U+0007"))
    }
}
