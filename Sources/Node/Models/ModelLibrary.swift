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

/// Why a model cannot be had.
enum LibraryError: Error, Sendable, CustomStringConvertible {
    /// Nobody knows a model of this name.
    case unknownName(String, known: [String])
    /// No member that answers has the file.
    case nobodyHas(digest: String)
    /// The store of this node failed.
    case store(StoreError)
    /// Every member that has it failed to bring it.
    case notFetched(digest: String, reasons: [String])
    /// What a member told of the model cannot be.
    case implausible(NodeID, reason: String)

    /// One sentence with the next step.
    var description: String {
        switch self {
        case .unknownName(let name, let known):
            "This node has no model '\(name)'; give the path of a GGUF file on it"
                + (known.isEmpty ? "." : ", or one of: \(known.joined(separator: ", ")).")
        case .nobodyHas(let digest):
            "No member that answers has the model \(digest.prefix(12))…; start the node that has the file."
        case .store(let error): error.description
        case .notFetched(let digest, let reasons):
            "The model \(digest.prefix(12))… could not be fetched: \(reasons.joined(separator: "; "))"
        case .implausible(let node, let reason): "Node \(node) told something impossible of a model: \(reason)."
        }
    }
}

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
    private let folder: String
    private let peers: PeerClient
    private let holders: @Sendable (_ digest: String) async -> [NodeID]
    private let logger: Logger
    private var books: [Book] = []
    private var headers: [(digest: String, file: ModelFile)] = []
    private var fetching: Set<String> = []
    private var published: @Sendable ([String]) -> Void = { _ in }

    /// `holders` answers the members that have a model, nearest first, without this one.
    init(
        caches: NodeCaches, cacheFolder: String, dataFolder: String, peers: PeerClient, logger: Logger,
        holders: @escaping @Sendable (String) async -> [NodeID]
    ) {
        self.caches = caches
        folder = "\(cacheFolder)/models"
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
    var known: [ModelCatalogue.Entry] { books.reversed().map { .init(name: $0.name, digest: $0.digest) } }

    /// The file a name or an absolute path means; its content is read once for its digest.
    ///
    /// **Throws:** `LibraryError.unknownName`, or `.store` when the file is no model.
    func resolve(_ model: String) async throws(LibraryError) -> Book {
        if model.hasPrefix("/") { return try await add(path: model) }
        if let known = books.last(where: { $0.name == model }) { return try await add(path: known.path, name: model) }
        if let known = books.first(where: { $0.digest == model }) { return known }
        throw .unknownName(model, known: Set(books.map(\.name)).sorted())
    }

    /// Takes a file of this machine in.
    ///
    /// **Throws:** `LibraryError.store` when it is no model.
    @discardableResult
    func add(path: String, name: String? = nil) async throws(LibraryError) -> Book {
        let caches = caches
        let digest: String
        do throws(StoreError) {
            digest = try await Self.onDisk { () throws(StoreError) in
                _ = try ModelFile(path: path)
                return try caches.digests.digest(ofFile: path)
            }
        } catch {
            books.removeAll { $0.path == path }
            throw .store(error)
        }
        let book = Book(name: name ?? ModelFile.name(ofPath: path), path: path, digest: digest)
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
            dataOffset: file.header.dataOffset)
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
    func knownHeader(_ digest: String) async -> ModelFile? {
        if let known = headers.first(where: { $0.digest == digest }) { return known.file }
        if let book = await current(digest), let file = try? ModelFile(path: book.path) {
            return remember(file, digest)
        }
        guard let part = PartialModel(folder: folder, digest: digest), let file = try? ModelFile(path: part.path) else {
            return nil
        }
        return remember(file, digest)
    }

    /// The model's header, from this machine or from a member.
    ///
    /// **Throws:** `LibraryError`, `CancellationError`.
    func header(_ digest: String) async throws -> ModelFile {
        if let known = await knownHeader(digest) { return known }
        try await enter(digest)
        defer { leave(digest) }
        return remember(try await fetchedHeader(digest).file, digest)
    }

    private func remember(_ file: ModelFile, _ digest: String) -> ModelFile {
        guard !headers.contains(where: { $0.digest == digest }) else { return file }
        headers.append((digest, file))
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
    func footprint(_ digest: String) async throws -> ModelFootprint {
        try ModelFootprint(try await header(digest).cutter())
    }

    private func fetchedHeader(_ digest: String) async throws(LibraryError) -> (part: PartialModel, file: ModelFile) {
        if let part = PartialModel(folder: folder, digest: digest), let file = try? ModelFile(path: part.path) {
            return (part, file)
        }
        let (part, sheet) = try await fromHolders(digest) { [peers, folder] node in
            let sheet = try await peers.get("models/\(digest)", of: node, as: ModelSheet.self)
            guard sheet.dataOffset <= sheet.byteCount, sheet.dataOffset <= PeerLimits.headerBytes else {
                throw LibraryError.implausible(
                    node, reason: "a header of \(sheet.dataOffset) of \(sheet.byteCount) bytes")
            }
            let part = try PartialModel(folder: folder, digest: digest, byteCount: sheet.byteCount)
            try await Self.fetch(part, [0..<sheet.dataOffset], digest, from: node, peers) { _ in }
            return (part, sheet)
        }
        do throws(StoreError) {
            let file = try ModelFile(path: part.path)
            return (part, file)
        } catch {
            part.remove()
            throw .notFetched(
                digest: digest, reasons: ["its header (\(sheet.dataOffset) bytes) is damaged: \(error.description)"])
        }
    }

    // MARK: Stages

    /// The file of one stage, made here or fetched.
    ///
    /// **Throws:** `LibraryError`, `StoreError` when the layers cannot be cut out.
    func stage(
        _ digest: String, layers: LayerRange, progress: @escaping @Sendable (_ thousandths: UInt32) -> Void
    ) async throws -> (file: StageFile, model: ModelFile) {
        let model = try await header(digest)
        let cutter = try model.cutter()
        let isWhole = layers == LayerRange(first: 0, end: cutter.layerCount)
        let plan = isWhole ? nil : try cutter.plan(layers)
        if let book = await current(digest) {
            let whole = StageFile(path: book.path, recipe: .whole(width: cutter.width), pin: nil)
            guard let plan else { return (whole, model) }
            return (try await Self.cut(caches, plan, book.path, digest), model)
        }
        try await enter(digest)
        defer { leave(digest) }
        if let plan, let pin = caches.stages.existing(plan, digest: digest) {
            return (StageFile(path: pin.path, recipe: plan.recipe, pin: pin), model)
        }
        let part = try await fetchedHeader(digest).part
        let wanted =
            plan.map { $0.segments.map { $0.sourceOffset..<$0.sourceOffset + $0.byteCount } } ?? [0..<part.byteCount]
        try await fromHolders(digest) { [peers] node in
            try await Self.fetch(part, wanted, digest, from: node, peers, progress: progress)
        }
        guard let plan else {
            let path = try await Self.complete(part, digest, caches)
            try await add(path: path)
            return (StageFile(path: path, recipe: .whole(width: cutter.width), pin: nil), model)
        }
        let file = try await Self.cut(caches, plan, part.path, digest)
        // The header stays for the next question; the layers are in the stage's own file now.
        try part.keep(first: model.header.dataOffset)
        return (file, model)
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
        var reasons: [String] = []
        for node in holders.prefix(PeerLimits.addresses) {
            do {
                return try await ask(node)
            } catch let error as StoreError {
                // This machine's disk is not better with another member.
                throw .store(error)
            } catch {
                reasons.append("\(error)")
            }
            if Task.isCancelled { break }
        }
        throw .notFetched(digest: digest, reasons: reasons)
    }

    private static func fetch(
        _ part: PartialModel, _ wanted: [Range<UInt64>], _ digest: String, from node: NodeID, _ peers: PeerClient,
        progress: @Sendable (UInt32) -> Void
    ) async throws {
        let total = max(1, wanted.reduce(0) { $0 + UInt64($1.count) })
        let pieces = part.missing(wanted, pieceByteCount: PeerLimits.rangeBytes)
        var left = pieces.reduce(0) { $0 + UInt64($1.count) }
        for piece in pieces {
            try Task.checkCancellation()
            progress(UInt32((total - min(left, total)) * 1000 / total))
            let cursor = Cursor(piece.lowerBound)
            try await peers.get(
                "models/\(digest)/bytes?from=\(piece.lowerBound)&count=\(piece.count)", of: node
            ) { buffer in
                let at = cursor.advance(by: UInt64(buffer.readableBytes))
                guard at + UInt64(buffer.readableBytes) <= piece.upperBound else {
                    throw LibraryError.implausible(node, reason: "more bytes than were asked for")
                }
                try buffer.withUnsafeReadableBytes { try part.write($0, at: at) }
            }
            guard cursor.value == piece.upperBound else {
                throw LibraryError.implausible(
                    node, reason: "\(cursor.value - piece.lowerBound) of \(piece.count) bytes came")
            }
            try await onDisk { () throws(StoreError) in try part.finish(piece) }
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
