import Dialects
import GGUF
import Gateway
import Logging
import ModelStore
import NIOCore
import NIOPosix
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What the workshop needs of the node it is part of.
protocol ModelPremises: Sendable {
    /// The models there are without those that are only names made here.
    func served() async -> [ServedModel]

    /// A model of this node with that content which is not the workshop's own; nil when there is none.
    func name(ofDigest digest: String, besides path: String) async -> String?

    /// Lets the cluster know a file of this machine by a name.
    ///
    /// **Throws:** `impossible` on a node that serves alone, `unusableFile`.
    func take(_ path: String, digest: String, as name: String) async throws(Ollama.ModelError)

    /// Lets the cluster forget a file.
    func forget(_ path: String, digest: String) async

    /// Ends a deployment; one that is not there is fine. False when there is none of that name.
    ///
    /// **Throws:** `undecided`.
    func undeploy(_ name: String) async throws(Ollama.ModelError) -> Bool
}

/// Makes, names and removes models, and takes their files in.
///
/// A model that came as a file has one name the cluster knows it by, its `base`; its other names are variants of it.
/// When the base's name goes, another one takes its place; with the last one the file goes.
///
/// **Isolation:** an actor, so that two requests do not change the same names at once; it gives that up only to wait.
actor ModelWorkshop: ModelKeeping {
    private let variants: ModelVariants
    private let blobs: BlobStore
    private let digests: DigestCache
    private let premises: any ModelPremises
    private let logger: Logger
    /// Requests that change names wait for each other in this line.
    private var isChanging = false
    private var line: [CheckedContinuation<Void, Never>] = []

    init(
        variants: ModelVariants, blobs: BlobStore, digests: DigestCache, premises: any ModelPremises, logger: Logger
    ) {
        self.variants = variants
        self.blobs = blobs
        self.digests = digests
        self.premises = premises
        self.logger = logger
    }

    /// Makes files known again that models were made of, and removes what nothing needs.
    func open() async {
        let own = Dictionary(grouping: variants.all.filter { $0.digest != nil }) { $0.digest ?? "" }
        for (digest, names) in own {
            guard let base = names.first?.base else { continue }
            do throws(Ollama.ModelError) {
                guard await premises.name(ofDigest: digest, besides: "") == nil else { continue }
                try await premises.take(blobs.path(digest), digest: digest, as: base)
            } catch {
                logger.warning(
                    "a model that was made of an uploaded file cannot be used",
                    metadata: ["model": "\(base)", "why": "\(error)"])
            }
        }
        await sweep()
    }

    private func sweep() async {
        let used = Set(variants.all.compactMap(\.digest))
        let now = Int64(time(nil))
        try? await Self.onDisk { [blobs] in blobs.sweep(keeping: used, now: now) }
    }

    // MARK: Files

    func holdsBlob(_ digest: String) async -> Bool { blobs.pin(digest) != nil }

    func receiveBlob(
        _ digest: String, byteCount: UInt64?
    ) async throws(Ollama.ModelError) -> any BlobReceiving {
        await sweep()
        do throws(StoreError) {
            return ArrivingBlob(
                upload: try blobs.begin(digest, byteCount: byteCount), path: blobs.path(digest), digest: digest,
                digests: digests)
        } catch {
            throw Ollama.ModelError(error)
        }
    }

    /// Runs work that waits for the disk on a thread of its own: the threads of tasks are few.
    static func onDisk<Value: Sendable>(
        _ work: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await NIOThreadPool.singleton.runIfActive(work)
    }

    // MARK: Names

    func create(_ wish: Ollama.CreateRequest) async throws(Ollama.ModelError) {
        await enter()
        defer { leave() }
        try await checkName(wish.name)
        // Nobody evicts the file while its model is being made.
        var held: PinnedFile?
        defer { withExtendedLifetime(held) {} }
        var made: ModelVariant
        let template: String
        switch wish.source {
        case .model(let name): (made, template) = try await base(name, as: wish.name)
        case .blob(let digest):
            held = blobs.pin(digest)
            guard held != nil else { throw .unknownBlob(digest) }
            (made, template) = try await adopt(digest, as: wish.name)
        }
        if let claimed = wish.template, !claimed.isEmpty, claimed != template { throw .otherTemplate }
        made.system = wish.system ?? made.system
        made.messages = wish.messages ?? made.messages
        made.license = wish.license ?? made.license
        let own = Set(wish.parameters.map(\.name))
        made.parameters = (made.parameters.filter { !own.contains($0.name) } + wish.parameters).sorted {
            $0.name < $1.name
        }
        try await keep(made)
    }

    func copy(_ source: String, to destination: String) async throws(Ollama.ModelError) {
        await enter()
        defer { leave() }
        try await checkName(destination)
        try await keep(try await base(source, as: destination).variant)
    }

    func delete(_ name: String) async throws(Ollama.ModelError) {
        await enter()
        defer { leave() }
        if let variant = variants.find(name) {
            try await update(forget: [variant.name])
            if let digest = variant.digest { try await settle(digest, base: variant.base) }
            return
        }
        let model = try find(name, await premises.served())
        guard [name, Ollama.lookupName(name)].contains(model.card.id) else {
            throw .impossible(
                what: "Deleting '\(name)', another name of '\(model.card.id)',",
                remedy: "delete '\(model.card.id)', or deploy it without that name")
        }
        if try await premises.undeploy(model.card.id) { return }
        if model.state == .available {
            throw .impossible(
                what: "Deleting '\(name)', a file of a machine that nobody deployed,",
                remedy: "remove the file on that machine")
        }
        throw .impossible(
            what: "Deleting '\(name)', which this node was started to serve,", remedy: "stop 'skein serve'")
    }

    private func checkName(_ name: String) async throws(Ollama.ModelError) {
        guard variants.find(name) == nil else { return }
        if await premises.served().contains(where: { $0.card.id == name }) { throw .nameTaken(name) }
    }

    private func find(_ name: String, _ models: [ServedModel]) throws(Ollama.ModelError) -> ServedModel {
        do throws(ModelNameError) {
            return try models.resolve(name)
        } catch .unknown {
            throw .unknownModel(name, known: models.map(\.card.id) + variants.all.map(\.name))
        } catch {
            throw .badName(error)
        }
    }

    /// A variant of a model that is here, with the defaults it has already, and the model's template.
    private func base(
        _ name: String, as new: String
    ) async throws(Ollama.ModelError) -> (variant: ModelVariant, template: String) {
        let served = await premises.served()
        if var known = variants.find(name) {
            let template = served.first { $0.card.id == known.base }?.card.chatTemplate ?? ""
            (known.name, known.created) = (new, Int64(time(nil)))
            return (known, template)
        }
        let model = try find(name, served)
        let variant = ModelVariant(name: new, base: model.card.id, created: Int64(time(nil)))
        return (variant, model.card.chatTemplate)
    }

    /// A variant of a model in an uploaded file; of one that is here by another name, where it is.
    private func adopt(
        _ digest: String, as new: String
    ) async throws(Ollama.ModelError) -> (variant: ModelVariant, template: String) {
        let path = blobs.path(digest)
        let file: ModelFile
        do {
            file = try await Self.onDisk {
                let file = try ModelFile(path: path)
                _ = try file.cutter()
                return file
            }
        } catch {
            throw .unusableFile(reason: "\(error)")
        }
        var variant = ModelVariant(name: new, base: new, digest: digest, created: Int64(time(nil)))
        if let other = variants.all.first(where: { $0.digest == digest }) {
            variant.base = other.base
        } else if let known = await premises.name(ofDigest: digest, besides: path) {
            (variant.base, variant.digest) = (known, nil)
        }
        return (variant, file.header.string("tokenizer.chat_template") ?? "")
    }

    private func keep(_ made: ModelVariant) async throws(Ollama.ModelError) {
        let before = variants.find(made.name)
        if let digest = made.digest, !variants.all.contains(where: { $0.digest == digest }) {
            let path = blobs.path(digest)
            try await premises.take(path, digest: digest, as: made.base)
            do throws(Ollama.ModelError) {
                try await update(keep: [made])
            } catch {
                await premises.forget(path, digest: digest)
                throw error
            }
        } else {
            try await update(keep: [made])
        }
        guard let before, let digest = before.digest else { return }
        try await settle(digest, base: before.base)
    }

    private func update(keep: [ModelVariant] = [], forget: Set<String> = []) async throws(Ollama.ModelError) {
        do {
            try await Self.onDisk { [variants] in try variants.update(keep: keep, forget: forget) }
        } catch let refusal as ModelVariants.Refusal {
            switch refusal {
            case .tooMany: throw .tooMany(limit: ModelVariants.limit)
            case .tooLarge(let bytes): throw .tooLarge(bytes: bytes, limit: ModelVariants.variantBytes)
            case .unwritable(let reason): throw .storeFailed(reason: reason)
            }
        } catch {
            throw .storeFailed(reason: "\(error)")
        }
    }

    /// After a name of a file went: a file without any goes, and one whose base's name went gets another one.
    private func settle(_ digest: String, base: String) async throws(Ollama.ModelError) {
        let path = blobs.path(digest)
        var left = variants.all.filter { $0.digest == digest }
        guard let heir = left.first?.name else {
            await premises.forget(path, digest: digest)
            // Another file may have the name by now; its next request deploys that one.
            _ = try await premises.undeploy(base)
            blobs.remove(digest)
            return
        }
        guard !left.contains(where: { $0.name == base }) else { return }
        for index in left.indices { left[index].base = heir }
        try await update(keep: left)
        try await premises.take(path, digest: digest, as: heir)
        _ = try await premises.undeploy(base)
    }

    // MARK: One at a time

    private func enter() async {
        guard isChanging else {
            isChanging = true
            return
        }
        await withCheckedContinuation { line.append($0) }
    }

    private func leave() {
        if line.isEmpty { isChanging = false } else { line.removeFirst().resume() }
    }
}

/// An upload on its way to the disk.
private struct ArrivingBlob: BlobReceiving {
    let upload: BlobUpload
    let path: String
    let digest: String
    let digests: DigestCache

    func append(_ bytes: ByteBuffer) async throws(Ollama.ModelError) {
        try await work { try bytes.withUnsafeReadableBytes { try upload.append($0) } }
    }

    func finish() async throws(Ollama.ModelError) {
        try await work {
            try upload.finish()
            // Its digest was made while it came; losing the note costs only time.
            try? digests.note(digest, ofFile: path)
        }
    }

    func abandon() async { upload.abandon() }

    private func work(_ body: @escaping @Sendable () throws -> Void) async throws(Ollama.ModelError) {
        do {
            try await ModelWorkshop.onDisk(body)
        } catch let error as StoreError {
            throw Ollama.ModelError(error)
        } catch {
            throw .storeFailed(reason: "\(error)")
        }
    }
}

extension Ollama.ModelError {
    init(_ error: StoreError) {
        self =
            switch error {
            case .tooLong(_, let byteCount, let limit): .blobTooLarge(bytes: byteCount.bytes, limit: limit.bytes)
            case .wrongDigest(_, let expected, let actual): .wrongDigest(expected: expected, actual: actual)
            case .busy(_, let limit): .tooManyUploads(limit: limit)
            case .diskFull(_, let needed, let free): .diskFull(neededBytes: needed.bytes, freeBytes: free.bytes)
            case .malformed, .unsound, .illegalCut: .unusableFile(reason: error.description)
            case .unreadable, .unwritable: .storeFailed(reason: error.description)
            }
    }
}
