import Dialects
import Foundation
import Gateway
import ModelStore
import NIOCore
import Synchronization
import Testing
import Vocabulary

@testable import Node

/// A node that serves by itself what it was told to, and remembers which files its cluster knows.
private final class ScriptedPremises: ModelPremises {
    struct State {
        var served: [ServedModel] = []
        /// Names by path, of files the workshop brought.
        var taken: [String: String] = [:]
        /// Names of other files by digest.
        var others: [String: String] = [:]
        var deployed: Set<String> = []
        var isAlone = false
    }

    let state: Mutex<State>

    init(_ change: (inout State) -> Void = { _ in }) {
        var state = State()
        state.served = [Self.model("tiny", .ready)]
        change(&state)
        self.state = Mutex(state)
    }

    static func model(_ name: String, _ state: ServedModel.State, template: String = "T") -> ServedModel {
        var card = ModelCard(unknown: name, digest: "00")
        card.chatTemplate = template
        return ServedModel(card: card, state: state, created: 0)
    }

    var taken: [String] { state.withLock { $0.taken.values.sorted() } }
    var deployed: Set<String> { state.withLock { $0.deployed } }

    func served() async -> [ServedModel] {
        state.withLock { state in
            state.served + state.taken.values.sorted().map { Self.model($0, .available) }
        }
    }

    func name(ofDigest digest: String, besides path: String) async -> String? {
        state.withLock { $0.others[digest] }
    }

    func take(_ path: String, digest: String, as name: String) async throws(Ollama.ModelError) {
        let isAlone = state.withLock { state in
            if !state.isAlone { state.taken[path] = name }
            return state.isAlone
        }
        if isAlone { throw .impossible(what: "It", remedy: "start it without '--alone'") }
    }

    func forget(_ path: String, digest: String) async { state.withLock { _ = $0.taken.removeValue(forKey: path) } }

    func undeploy(_ name: String) async throws(Ollama.ModelError) -> Bool {
        state.withLock { $0.deployed.remove(name) != nil }
    }
}

@Suite struct `The workshop of models` {
    /// A workshop in a folder, as a restart finds it.
    private struct Bench {
        let folder: String
        let premises: ScriptedPremises
        let variants: ModelVariants
        let blobs: BlobStore
        let workshop: ModelWorkshop

        init(_ folder: String, _ premises: ScriptedPremises) {
            self.folder = folder
            self.premises = premises
            variants = ModelVariants(dataFolder: folder, logger: Fixture.silence)
            blobs = BlobStore(folder: "\(folder)/blobs")
            workshop = ModelWorkshop(
                variants: variants, blobs: blobs, digests: NodeCaches(folder: "\(folder)/cache").digests,
                premises: premises, logger: Fixture.silence)
        }

        func create(_ fields: String) async throws {
            try await workshop.create(try Ollama.CreateRequest.decode(Array("{\(fields)}".utf8)))
        }

        /// What a request is refused with; nil when it is not.
        func refusal(_ fields: String) async throws -> Ollama.ModelError? {
            do {
                try await create(fields)
                return nil
            } catch let error as Ollama.ModelError {
                return error
            }
        }

        /// Uploads the bytes of a file, changed at its end so that it is another one.
        @discardableResult
        func upload(_ path: String = Fixture.model, tail: [UInt8] = []) async throws -> String {
            let bytes = Array(try Data(contentsOf: URL(filePath: path))) + tail
            let digest = Hexadecimal.text(SecureDigest.of(bytes))
            let upload = try await workshop.receiveBlob(digest, byteCount: UInt64(bytes.count))
            try await upload.append(ByteBuffer(bytes: bytes))
            try await upload.finish()
            return digest
        }
    }

    private func with(
        _ change: (inout ScriptedPremises.State) -> Void = { _ in }, _ body: (Bench) async throws -> Void
    ) async throws {
        let premises = ScriptedPremises(change)
        try await Fixture.withFolder { try await body(Bench($0, premises)) }
    }

    @Test func `a variant of a variant has the defaults of both and the base of the first`() async throws {
        try await with { bench in
            try await bench.create(
                #""model":"a","from":"tiny:latest","system":"S","parameters":{"top_k":1,"seed":2},"license":"L""#)
            try await bench.create(
                #""model":"b","from":"a","parameters":{"seed":3},"template":"T","#
                    + #""messages":[{"role":"user","content":"x"}]"#
            )
            let made = try #require(bench.variants.find("b"))
            #expect(made.base == "tiny" && made.system == "S" && made.license == "L" && made.digest == nil)
            #expect(made.parameters == [.init(name: "seed", value: "3"), .init(name: "top_k", value: "1")])
            #expect(made.messages.map(\.text) == ["x"])
            try await bench.workshop.copy("b", to: "c")
            try await bench.workshop.delete("a:latest")
            try await bench.workshop.delete("b")
            let copy = try #require(bench.variants.find("c"))
            #expect(copy.parameters == made.parameters && bench.variants.all.count == 1)
        }
    }

    @Test func `names of other models, unknown models and other templates are refused`() async throws {
        try await with { bench in
            let refused: [(String, Ollama.ModelError)] = [
                (#""model":"tiny","from":"tiny""#, .nameTaken("tiny")),
                (#""model":"a","from":"none""#, .unknownModel("none", known: ["tiny"])),
                (#""model":"a","from":"tiny","template":"{{ . }}""#, .otherTemplate),
            ]
            for (fields, error) in refused {
                let refusal = try await bench.refusal(fields)
                #expect(refusal == error)
            }
            await #expect(throws: Ollama.ModelError.nameTaken("tiny")) {
                try await bench.workshop.copy("tiny", to: "tiny")
            }
            await #expect(throws: Ollama.ModelError.unknownModel("none", known: ["tiny"])) {
                try await bench.workshop.copy("none", to: "a")
            }
            #expect(bench.variants.all.isEmpty)
        }
    }

    @Test func `a file becomes a model the cluster knows, and goes with its last name`() async throws {
        try await with { bench in
            let digest = try await bench.upload()
            #expect(await bench.workshop.holdsBlob(digest))
            try await bench.create(#""model":"mine","files":{"m.gguf":"sha256:\#(digest)"},"system":"S""#)
            #expect(bench.variants.find("mine")?.digest == digest && bench.premises.taken == ["mine"])
            try await bench.create(#""model":"other","from":"@sha256:\#(digest)""#)
            try await bench.create(#""model":"third","from":"mine""#)
            #expect(bench.variants.all.map(\.base) == ["mine", "mine", "mine"])
            bench.premises.state.withLock { $0.deployed = ["mine"] }
            try await bench.workshop.delete("mine")
            #expect(bench.premises.taken == ["other"], "another name takes the place of the base's")
            #expect(bench.variants.all.map(\.base) == ["other", "other"] && bench.premises.deployed.isEmpty)
            try await bench.workshop.delete("other")
            #expect(bench.premises.taken == ["third"])
            bench.premises.state.withLock { $0.deployed = ["third"] }
            try await bench.workshop.delete("third")
            #expect(bench.premises.taken.isEmpty && bench.premises.deployed.isEmpty)
            #expect(await !bench.workshop.holdsBlob(digest))
        }
    }

    @Test func `a name that gets another file lets go of the first one`() async throws {
        try await with { bench in
            let first = try await bench.upload()
            let second = try await bench.upload(tail: [0])
            try await bench.create(#""model":"mine","from":"@sha256:\#(first)""#)
            bench.premises.state.withLock { $0.deployed = ["mine"] }
            try await bench.create(#""model":"mine","from":"@sha256:\#(first)","system":"S""#)
            #expect(bench.premises.deployed == ["mine"], "the same file goes on")
            try await bench.create(#""model":"mine","from":"@sha256:\#(second)""#)
            #expect(bench.variants.find("mine")?.digest == second && bench.premises.taken == ["mine"])
            #expect(bench.premises.deployed.isEmpty, "the next request loads the new file")
            #expect(await !bench.workshop.holdsBlob(first))
        }
    }

    @Test func `content that is here already is used where it is`() async throws {
        try await with { bench in
            let digest = try await bench.upload()
            bench.premises.state.withLock { $0.others[digest] = "tiny" }
            try await bench.create(#""model":"mine","from":"@sha256:\#(digest)""#)
            let made = try #require(bench.variants.find("mine"))
            #expect(made.base == "tiny" && made.digest == nil && bench.premises.taken.isEmpty)
        }
    }

    @Test func `what is no model, or was not uploaded, is refused`() async throws {
        try await with { bench in
            let missing = String(repeating: "0", count: 64)
            let unknown = try await bench.refusal(#""model":"m","from":"@sha256:\#(missing)""#)
            #expect(unknown == .unknownBlob(missing))
            let text = "\(bench.folder)/text"
            try Data("no model".utf8).write(to: URL(filePath: text))
            let digest = try await bench.upload(text)
            guard case .unusableFile? = try await bench.refusal(#""model":"m","from":"@sha256:\#(digest)""#) else {
                Issue.record("a text became a model")
                return
            }
            #expect(bench.variants.all.isEmpty && bench.premises.taken.isEmpty)
        }
    }

    @Test func `a node alone refuses other files and keeps nothing of them`() async throws {
        try await with({ $0.isAlone = true }) { bench in
            let digest = try await bench.upload()
            guard case .impossible? = try await bench.refusal(#""model":"m","from":"@sha256:\#(digest)""#) else {
                Issue.record("a node alone took a file")
                return
            }
            #expect(bench.variants.all.isEmpty)
        }
    }

    @Test func `a restart makes the files known again and removes what broke off`() async throws {
        try await with { bench in
            let digest = try await bench.upload()
            try await bench.create(#""model":"mine","from":"@sha256:\#(digest)""#)
            try Data([1]).write(to: URL(filePath: "\(bench.folder)/blobs/sha256-x.1-1.part"))
            let again = Bench(bench.folder, ScriptedPremises())
            await again.workshop.open()
            #expect(again.premises.taken == ["mine"] && again.variants.find("mine")?.digest == digest)
            let files = try FileManager.default.contentsOfDirectory(atPath: "\(bench.folder)/blobs")
            #expect(files == ["sha256-\(digest)"])
        }
    }

    @Test func `deployments are undeployed; what a machine serves by itself or has as a file is not removed`()
        async throws
    {
        try await with({ state in
            state.served.append(ScriptedPremises.model("deployed", .sleeping(reason: "x")))
            state.served.append(ScriptedPremises.model("file", .available))
            state.deployed = ["deployed"]
        }) { bench in
            try await bench.workshop.delete("deployed:latest")
            #expect(bench.premises.deployed.isEmpty)
            for name in ["tiny", "file"] {
                do throws(Ollama.ModelError) {
                    try await bench.workshop.delete(name)
                    Issue.record("\(name) is gone")
                } catch {
                    guard case .impossible = error else {
                        Issue.record("\(name): \(error)")
                        continue
                    }
                }
            }
            await #expect(throws: Ollama.ModelError.self) { try await bench.workshop.delete("none") }
        }
    }

    @Test func `many changes at once are each whole`() async throws {
        try await with { bench in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<32 {
                    group.addTask { try await bench.workshop.copy("tiny", to: "m\(number % 8)") }
                }
                try await group.waitForAll()
            }
            #expect(bench.variants.all.map(\.name) == (0..<8).map { "m\($0)" })
        }
    }
}

@Suite struct `Models made here as the node serves them` {
    @Test func `a request to a variant goes to its base with its defaults, and lists show both`() async throws {
        try await Fixture.withFolder { folder in
            let variants = ModelVariants(dataFolder: folder, logger: Fixture.silence)
            var made = ModelVariant(name: "mine", base: "gone", created: 7)
            made.license = "L"
            try variants.update(keep: [made])
            let backend = NodeBackend([], router: nil, variants: variants, owner: "machine-1")
            let models = await backend.models()
            let model = try #require(models.first)
            #expect(model.card.id == "mine" && model.owner == "machine-1" && model.card.license == "L")
            guard case .failed(let reason) = model.state else {
                Issue.record("a variant without base is \(model.state)")
                return
            }
            #expect(reason.contains("'gone'"))
            let request = GenerationRequest(id: RequestID(1), model: "mine", prompt: .text("x"))
            var events: [GenerationEvent] = []
            for await event in await backend.generate(request).events { events.append(event) }
            #expect(events == [.failed(.modelNotFound(name: "gone", available: []))])
        }
    }
}
