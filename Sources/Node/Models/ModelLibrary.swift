import Cluster
import FoundationEssentials
import GGUF
import Hummingbird
import Logging
import ModelStore
import NIOCore
import NIOPosix
import Placement
import Vocabulary

/// The models this node knows: files on this machine by the digest of their content, and those of other members, of
/// which it fetches as much as it needs.
///
/// **Isolation:** an actor; reading a large file for its digest, and fetching, happen outside of it.
actor ModelLibrary {
    /// A file on this machine.
    struct Book: Sendable, Codable, Hashable {
        var name: String
        var path: String
        var digest: String
        /// Where it comes from; nil where an earlier release did not ask.
        var sources: [String]?
        /// How its weights are stored; nil where an earlier release did not ask.
        var quantization: String?
        /// Whether it is no model but a projector; nil is no.
        var isProjector: Bool?
    }

    /// Models that are remembered.
    private static let bookLimit = 1024
    /// How long it may take until it is known who has a model. **Units:** seconds.
    private static let holderSeconds = 10
    /// Time between looks at whether another fetch of the model has ended. **Units:** milliseconds.
    private static let turnMilliseconds = 50
    /// Time between looks at who has a model. **Units:** milliseconds.
    private static let holderMilliseconds = 100
    /// Models whose headers are kept in memory.
    private static let headerLimit = 64

    nonisolated let caches: NodeCaches
    private let catalogue: String
    private let shelf: FileShelf
    private let peers: any ModelHolding
    private let holders: @Sendable (_ digest: String) async -> [NodeID]
    private let logger: Logger
    private var books: [Book] = []
    /// Headers in memory; `blocks` is what a part of the model was checked by, nil for a file of this machine.
    private var headers: [(digest: String, blocks: String?, file: ModelFile)] = []
    /// Digests of the projectors with which this node serves models, by those of the models.
    private var eyes: [String: String] = [:]
    private var doubts = HolderDoubts()
    private var fetching: Set<String> = []
    private var published: @Sendable ([String]) -> Void = { _ in }

    /// `holders` answers the members that have a model, nearest first, without this one.
    init(
        caches: NodeCaches, dataFolder: String, peers: any ModelHolding, logger: Logger,
        holders: @escaping @Sendable (String) async -> [NodeID]
    ) {
        self.caches = caches
        shelf = caches.fetched
        catalogue = "\(dataFolder)/models.json"
        self.peers = peers
        self.holders = holders
        self.logger = logger
        if let bytes = try? Data(contentsOf: URL(filePath: catalogue)),
            let read = try? JSONDecoder().decode([Book].self, from: bytes)
        {
            books = Array(read.prefix(Self.bookLimit))
        }
    }

    /// Calls `published` with the digests of the files that are here, the latest first, now and
    /// whenever they change.
    func publish(_ published: @escaping @Sendable ([String]) -> Void) {
        self.published = published
        published(books.reversed().map(\.digest))
    }

    /// The files that are here, the latest first.
    var known: [ModelCatalogue.Entry] {
        books.reversed().map { book in
            ModelCatalogue.Entry(
                name: book.name, digest: book.digest, sources: ModelCatalogue.sources(book.sources),
                quantization: book.quantization ?? "", isHere: true, isProjector: book.isProjector == true)
        }
    }

    /// The file that had a digest when it was last looked at, as it is now; nil when there is none. Its content is read
    /// when it has changed; `sources` say more of where it comes from.
    ///
    /// **Throws:** `LibraryError.store` when it is no model any more; then it is forgotten.
    func look(atDigest digest: String, sources: [ModelSource] = []) async throws(LibraryError) -> Book? {
        guard let known = books.first(where: { $0.digest == digest }) else { return nil }
        return try await add(path: known.path, name: known.name, sources: sources)
    }

    /// Takes a file of this machine in; `sources` say more of where it comes from than the file does.
    ///
    /// **Throws:** `LibraryError.store` when it is no model.
    @discardableResult
    func add(path: String, name: String? = nil, sources: [ModelSource] = []) async throws(LibraryError) -> Book {
        let caches = caches
        let found: (file: ModelFile, digest: String)
        do throws(StoreError) {
            found = try await Self.onDisk { () throws(StoreError) in
                (try ModelFile(path: path), try caches.digests.digest(ofFile: path))
            }
        } catch {
            books.removeAll { $0.path == path }
            throw .store(error)
        }
        let digest = found.digest
        let before = books.first { $0.path == path && $0.digest == digest }?.sources ?? []
        let told = sources.map(\.description) + before + found.file.sources.map(\.description)
        var book = Book(
            name: name ?? ModelFile.name(ofPath: path), path: path, digest: digest,
            sources: ModelCatalogue.texts(told), quantization: found.file.quantization)
        if found.file.header.architecture == ProjectorFacts.architecture { book.isProjector = true }
        guard !books.contains(book) else { return book }
        books.removeAll { $0.path == path || $0.digest == digest }
        // What was used last is told first, and forgotten last.
        books.append(book)
        if books.count > Self.bookLimit { books.removeFirst() }
        keep()
        return book
    }

    /// A file that is here with that content, besides one at a path; its name as far as this node knows.
    func name(ofDigest digest: String, besides path: String) -> String? {
        books.first { $0.digest == digest && $0.path != path }?.name
    }

    /// Forgets the file at a path, if that is the one known by the digest.
    func forget(_ path: String, digest: String) {
        let count = books.count
        books.removeAll { $0.path == path && $0.digest == digest }
        guard books.count < count else { return }
        headers.removeAll { $0.digest == digest }
        keep()
    }

    /// Runs work that waits for the disk, or takes long, on a thread of its own: the threads of tasks are few.
    private static func onDisk<Value: Sendable>(
        _ work: @escaping @Sendable () throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        let outcome = try? await NIOThreadPool.singleton.runIfActive {
            Result<Value, StoreError> { () throws(StoreError) in try work() }
        }
        guard let outcome else { throw .unreadable(path: "", reason: "this process stops") }
        return try outcome.get()
    }

    /// A lost catalogue costs only that a path has to be named again.
    private func keep() {
        published(books.reversed().map(\.digest))
        guard let bytes = try? JSONEncoder().encode(books) else { return }
        do {
            try bytes.write(to: URL(filePath: catalogue), options: .atomic)
        } catch {
            logger.warning("the list of models cannot be kept", metadata: ["path": "\(catalogue)", "why": "\(error)"])
        }
    }

    // MARK: For other members

    /// Where the file with a digest is, and its length.
    func file(_ digest: String) async throws -> (path: String, byteCount: UInt64) {
        let header = try await local(digest)
        return (header.path, header.header.fileByteCount)
    }

    /// What other members need to know before they fetch.
    func sheet(_ digest: String) async throws -> ModelSheet {
        let file = try await local(digest)
        return ModelSheet(
            name: books.first { $0.digest == digest }?.name ?? "", byteCount: file.header.fileByteCount,
            dataOffset: file.header.dataOffset, blocks: await blocks(ofFile: file.path)?.root,
            sources: books.first { $0.digest == digest }?.sources, quantization: file.quantization,
            isProjector: file.header.architecture == ProjectorFacts.architecture ? true : nil,
            projector: eyes[digest])
    }

    /// The digests of the blocks of a file that is here.
    ///
    /// **Throws:** `PeerRefusal` when it is not, or too long for them.
    func blockList(_ digest: String) async throws -> [UInt8] {
        let file = try await local(digest)
        guard let blocks = await blocks(ofFile: file.path) else {
            throw PeerRefusal(.notFound, "This node cannot tell the digests of \(digest.prefix(64))'s blocks.")
        }
        return blocks.bytes
    }

    private func blocks(ofFile path: String) async -> BlockDigests? {
        let caches = caches
        return try? await Self.onDisk { () throws(StoreError) in try caches.digests.blocks(ofFile: path) }
    }

    /// What parts of a model are to be checked by: by the file that is here, else as a member that has it tells; empty
    /// when nobody does.
    func root(ofBlocksOf digest: String) async -> String {
        if let book = await current(digest) { return await blocks(ofFile: book.path)?.root ?? "" }
        let now = ContinuousClock.now
        let holders = await holders(digest).filter { doubts.mayAsk($0, for: digest, now: now) }
        for node in holders.prefix(PeerLimits.addresses) {
            if let root = try? await peers.sheet(digest, of: node).blocks, Hexadecimal.isDigest(root) { return root }
        }
        return ""
    }

    /// This node serves a model with a projector, both by the digests of their files.
    func note(projector: String, of model: String) { eyes[model] = projector }

    /// The digest of the projector with which this node, or else a member that has the model's file, serves a model;
    /// nil when none does.
    func projector(of model: String) async -> String? {
        if let own = eyes[model] { return own }
        let holders = await holders(model).prefix(PeerLimits.addresses)
        let told = await withTaskGroup(of: (NodeID, String?).self) { group in
            for node in holders {
                group.addTask { [peers] in (node, try? await peers.sheet(model, of: node).projector) }
            }
            var told: [NodeID: String] = [:]
            for await (node, digest) in group { told[node] = digest }
            return told
        }
        // What is no digest cannot be fetched.
        return holders.lazy.compactMap { told[$0] }.first { Hexadecimal.isDigest($0) }
    }

    private func local(_ digest: String) async throws -> ModelFile {
        guard let book = await current(digest) else {
            throw PeerRefusal(.notFound, "This node does not have the model \(digest.prefix(64)).")
        }
        if let known = headers.first(where: { $0.digest == digest && $0.file.path == book.path }) { return known.file }
        do throws(StoreError) {
            return remember(try ModelFile(path: book.path), digest)
        } catch {
            throw PeerRefusal(.notFound, error.description)
        }
    }

    // MARK: Headers

    /// The model's header as far as it is on this machine; never waits for another one.
    func knownHeader(_ identity: ModelIdentity) async -> ModelFile? {
        let known = headers.first { known in
            known.digest == identity.digest
                && (known.blocks.map { identity.blocks.isEmpty || $0 == identity.blocks } ?? true)
        }
        if let known { return known.file }
        if let book = await current(identity.digest), let file = try? ModelFile(path: book.path) {
            return remember(file, identity.digest)
        }
        guard let (part, file) = fetched(identity) else { return nil }
        return remember(file, identity.digest, blocks: part.blocks.root)
    }

    /// The model's header, unless nobody has it now.
    func heldHeader(_ identity: ModelIdentity) async -> ModelFile? {
        if let known = await knownHeader(identity) { return known }
        guard await !holders(identity.digest).isEmpty else { return nil }
        return try? await header(identity)
    }

    /// The model's header, from this machine or from a member.
    ///
    /// **Throws:** `LibraryError`, `CancellationError`.
    func header(_ identity: ModelIdentity) async throws -> ModelFile {
        if let known = await knownHeader(identity) { return known }
        try await enter(identity.digest)
        defer { leave(identity.digest) }
        let (part, file) = try await part(identity)
        return remember(file, identity.digest, blocks: part.blocks.root)
    }

    private func remember(_ file: ModelFile, _ digest: String, blocks: String? = nil) -> ModelFile {
        headers.removeAll { $0.digest == digest }
        headers.append((digest, blocks, file))
        if headers.count > Self.headerLimit { headers.removeFirst() }
        return file
    }

    /// The file of this machine with a digest, when it still has it: files are replaced and deleted under our feet.
    private func current(_ digest: String) async -> Book? {
        guard let book = books.first(where: { $0.digest == digest }) else { return nil }
        let caches = caches
        let now = try? await Self.onDisk { () throws(StoreError) in try caches.digests.digest(ofFile: book.path) }
        if now == digest { return book }
        books.removeAll { $0 == book }
        headers.removeAll { $0.digest == digest }
        keep()
        return nil
    }

    /// What planning needs of the model.
    ///
    /// **Throws:** `LibraryError`, or what a header lacks for planning.
    func footprint(_ identity: ModelIdentity) async throws -> ModelFootprint {
        try ModelFootprint(try await header(identity).cutter())
    }

    /// What is here of a model that was fetched in parts, with its header.
    private func fetched(_ identity: ModelIdentity) -> (part: PartialModel, file: ModelFile)? {
        guard let part = PartialModel(folder: shelf.folder, digest: identity.digest),
            identity.blocks.isEmpty || part.blocks.root == identity.blocks,
            let file = try? ModelFile(path: part.path), part.has(0..<file.header.dataOffset)
        else { return nil }
        return (part, file)
    }

    /// A part of the model that has at least the header, from this machine or from a member.
    private func part(_ identity: ModelIdentity) async throws(LibraryError) -> (part: PartialModel, file: ModelFile) {
        if let known = fetched(identity) { return known }
        return try await fromHolders(identity.digest) { [peers, shelf] node in
            let sheet = try await peers.sheet(identity.digest, of: node)
            guard sheet.dataOffset <= sheet.byteCount, sheet.dataOffset <= PeerLimits.headerBytes else {
                throw LibraryError.implausible(
                    node, reason: "a header of \(sheet.dataOffset) of \(sheet.byteCount) bytes")
            }
            let blocks = try await Self.blocks(identity, sheet, of: node, peers)
            let part = try PartialModel(folder: shelf.folder, digest: identity.digest, blocks: blocks)
            try await Self.fetch(part, [0..<sheet.dataOffset], identity.digest, from: node, peers) { _ in }
            do throws(StoreError) {
                return (part, try ModelFile(path: part.path))
            } catch {
                let reason = "its header (\(sheet.dataOffset) bytes) is damaged: \(error.description)"
                throw LibraryError.implausible(node, reason: reason)
            }
        }
    }

    /// The digests of the model's blocks, checked against what was agreed on.
    private static func blocks(
        _ identity: ModelIdentity, _ sheet: ModelSheet, of node: NodeID, _ peers: any ModelHolding
    ) async throws -> BlockDigests {
        guard let told = sheet.blocks else { throw LibraryError.unchecked(node) }
        guard identity.blocks.isEmpty || told == identity.blocks else {
            throw LibraryError.otherBlocks(node, agreed: identity.blocks, told: told)
        }
        guard let length = BlockDigests.listByteCount(ofFile: sheet.byteCount) else {
            throw LibraryError.implausible(
                node, reason: "\(sheet.byteCount) bytes, where \(BlockDigests.longestFile) can be checked")
        }
        let bytes = try await peers.blocks(identity.digest, of: node, limit: length)
        guard let blocks = BlockDigests(bytes: bytes), blocks.fileByteCount == sheet.byteCount else {
            throw LibraryError.implausible(
                node, reason: "\(bytes.count) bytes of block digests, where \(length) belong to such a file")
        }
        guard blocks.root == told else {
            throw LibraryError.otherBlocks(node, agreed: told, told: blocks.root)
        }
        return blocks
    }

    // MARK: Stages

    /// The file of one stage, made here or fetched; with `heads` the last one has the model's own head for several
    /// tokens, which it MUST have (`headObstacle`).
    ///
    /// **Throws:** `LibraryError`, `StoreError` when the layers cannot be cut out.
    func stage(
        _ identity: ModelIdentity, layers: LayerRange, heads: Bool = false,
        progress: @escaping @Sendable (_ thousandths: UInt32) -> Void
    ) async throws -> (file: StageFile, model: ModelFile) {
        let digest = identity.digest
        let model = try await header(identity)
        let cutter = try model.cutter()
        guard layers != LayerRange(first: 0, end: cutter.layerCount) else {
            let held = try await whole(identity, progress: progress)
            return (StageFile(path: held.path, recipe: cutter.wholeRecipe, pin: held.pin), model)
        }
        let plan = try cutter.plan(layers, heads: heads)
        if let held = await held(digest) { return (try await Self.cut(caches, plan, held.path, digest), model) }
        try await enter(digest)
        defer { leave(digest) }
        // Stages that were cut out of parts are kept apart by what those were checked by.
        let blocks = identity.blocks.isEmpty ? try await part(identity).part.blocks.root : identity.blocks
        let origin = "\(digest) \(blocks)"
        if let pin = caches.stages.existing(plan, digest: origin) {
            return (StageFile(path: pin.path, recipe: plan.recipe, pin: pin), model)
        }
        let part = try await part(identity).part
        let wanted = plan.segments.map { $0.sourceOffset..<$0.sourceOffset + $0.byteCount }
        try await fetch(wanted, into: part, identity, progress: progress)
        let file = try await Self.cut(caches, plan, part.path, origin)
        // The header stays for the next question; the layers are in the stage's own file now.
        try part.keep(first: model.header.dataOffset)
        return (file, model)
    }

    /// A whole file, of this machine or fetched; what was fetched is held as long as the pin lives.
    ///
    /// **Throws:** `LibraryError`, `StoreError` when what was fetched has another digest.
    func whole(
        _ identity: ModelIdentity, progress: @escaping @Sendable (_ thousandths: UInt32) -> Void
    ) async throws -> (path: String, pin: PinnedFile?) {
        if let held = await held(identity.digest) { return held }
        try await enter(identity.digest)
        defer { leave(identity.digest) }
        // Who was before may have fetched it.
        if let held = await held(identity.digest) { return held }
        let part = try await part(identity).part
        try await fetch([0..<part.byteCount], into: part, identity, progress: progress)
        let path = try await Self.complete(part, identity.digest, caches)
        try await add(path: path, name: await toldName(identity.digest))
        return (path, PinnedFile(path: path))
    }

    /// What a member that has the file calls it: by the path it was fetched to its name would be its digest.
    private func toldName(_ digest: String) async -> String? {
        for node in await holders(digest).prefix(PeerLimits.addresses) {
            guard let name = try? await peers.sheet(digest, of: node).name, !name.isEmpty,
                name.utf8.count <= ModelReference.byteLimit
            else { continue }
            return name
        }
        return nil
    }

    /// The file that is here whole. A fetched one is held, so that it does not make way for another one; a user's own
    /// stays by itself.
    private func held(_ digest: String) async -> (path: String, pin: PinnedFile?)? {
        guard let book = await current(digest) else { return nil }
        guard shelf.has(book.path) else { return (book.path, nil) }
        guard let pin = PinnedFile(path: book.path) else { return nil }
        pin.touch()
        return (book.path, pin)
    }

    private func fetch(
        _ wanted: [Range<UInt64>], into part: PartialModel, _ identity: ModelIdentity,
        progress: @escaping @Sendable (UInt32) -> Void
    ) async throws(LibraryError) {
        let digest = identity.digest
        await makeRoom(for: wanted.reduce(0) { $0 + UInt64($1.count) })
        do throws(LibraryError) {
            try await fromHolders(digest) { [peers] node in
                try await Self.fetch(part, wanted, digest, from: node, peers, progress: progress)
            }
        } catch {
            // The list itself may be wrong when nobody had agreed on it.
            if identity.blocks.isEmpty, case .notFetched = error { part.remove() }
            throw error
        }
    }

    /// Removes fetched models that were not used for longest until there is room for as many bytes.
    func makeRoom(for bytes: UInt64) async {
        let shelf = shelf
        let removed = (try? await Self.onDisk { () throws(StoreError) in shelf.evict(toFit: bytes) }) ?? []
        let gone = books.filter { removed.contains($0.path) }
        guard !gone.isEmpty else { return }
        logger.info(
            "fetched models made way for others",
            metadata: ["models": "\(gone.map(\.name).joined(separator: ", "))", "limit": "\(shelf.byteLimit)"])
        books.removeAll { gone.contains($0) }
        headers.removeAll { header in gone.contains { $0.digest == header.digest } }
        keep()
    }

    private static func cut(
        _ caches: NodeCaches, _ plan: StageFilePlan, _ path: String, _ digest: String
    ) async throws -> StageFile {
        let pin = try await onDisk { () throws(StoreError) in
            try caches.stages.materialise(plan, of: path, digest: digest)
        }
        return StageFile(path: pin.path, recipe: plan.recipe, pin: pin)
    }

    private static func complete(
        _ part: PartialModel, _ digest: String, _ caches: NodeCaches
    ) async throws(StoreError) -> String {
        try await onDisk { () throws(StoreError) in try part.complete(digest: digest, with: caches.digests) }
    }

    // MARK: Fetching

    /// Asks the members that have the model, one after the other, until one serves.
    private func fromHolders<Value: Sendable>(
        _ digest: String, _ ask: @Sendable (NodeID) async throws -> Value
    ) async throws(LibraryError) -> Value {
        let deadline = ContinuousClock.now + .seconds(Self.holderSeconds)
        var holders = await holders(digest)
        while holders.isEmpty {
            guard ContinuousClock.now < deadline, !Task.isCancelled else { throw .nobodyHas(digest: digest) }
            // Who has a model tells it by gossip, which may come after the wish to run it.
            try? await Task.sleep(for: .milliseconds(Self.holderMilliseconds))
            holders = await self.holders(digest)
        }
        let asked = holders.filter { doubts.mayAsk($0, for: digest, now: .now) }
        guard !asked.isEmpty else { throw .doubted(digest: digest, holders) }
        var reasons: [String] = []
        for node in asked.prefix(PeerLimits.addresses) {
            do {
                return try await ask(node)
            } catch let error as StoreError {
                // This machine's disk is not better with another member.
                throw .store(error)
            } catch {
                if let culprit = (error as? LibraryError)?.culprit { doubt(culprit, digest, error) }
                reasons.append("\(error)")
            }
            if Task.isCancelled { break }
        }
        throw .notFetched(digest: digest, reasons: reasons)
    }

    private func doubt(_ node: NodeID, _ digest: String, _ error: any Error) {
        doubts.note(node, about: digest, now: .now)
        logger.warning(
            "a member was wrong about a model and is not asked for it for a while",
            metadata: ["member": "\(node)", "model": "\(digest.prefix(12))", "why": "\(error)"])
    }

    private static func fetch(
        _ part: PartialModel, _ wanted: [Range<UInt64>], _ digest: String, from node: NodeID,
        _ peers: any ModelHolding, progress: @Sendable (UInt32) -> Void
    ) async throws {
        let total = max(1, wanted.reduce(0) { $0 + UInt64($1.count) })
        let pieces = part.missing(wanted, pieceByteCount: PeerLimits.rangeBytes)
        var left = pieces.reduce(0) { $0 + UInt64($1.count) }
        for piece in pieces {
            try Task.checkCancellation()
            progress(UInt32((total - min(left, total)) * 1000 / total))
            let intake = PartIntake(part, range: piece)
            do {
                try await peers.bytes(digest, piece, of: node) { buffer in
                    try buffer.withUnsafeReadableBytes { try intake.take($0) }
                }
                try intake.end()
            } catch {
                // What came and is right need not come again, from whomever the rest does.
                try await onDisk { () throws(StoreError) in try intake.keep() }
                guard let fault = error as? PartFault else { throw error }
                if case .store(let error) = fault { throw error }
                throw LibraryError.wrongBytes(node, fault)
            }
            try await onDisk { () throws(StoreError) in try intake.keep() }
            left -= min(left, UInt64(piece.count))
        }
        progress(1000)
    }

    // MARK: One at a time

    /// Waits until nobody else fetches this model.
    ///
    /// **Throws:** `CancellationError`.
    private func enter(_ digest: String) async throws {
        while fetching.contains(digest) { try await Task.sleep(for: .milliseconds(Self.turnMilliseconds)) }
        fetching.insert(digest)
    }

    private func leave(_ digest: String) { fetching.remove(digest) }
}
