import Cluster
import Foundation
import GGUF
import ModelStore
import NIOCore
import Placement
import Synchronization
import Testing
import Vocabulary

@testable import Node

/// Members that have the built-in model, each with its own way of telling it.
final class Holders: ModelHolding {
    /// What a member does wrong.
    enum Fault: Sendable {
        case right
        /// One bit of each answer.
        case flips
        /// Answers end in the middle.
        case truncates
        /// Answers go on behind their end.
        case adds
        /// The bytes of another place.
        case shifts
        /// Other digests of blocks, and bytes to go with them.
        case forges
        /// A list that is not the one it names.
        case liesOfList
        /// A release that makes no digests of blocks.
        case isOld
        /// A header of four exabytes.
        case boasts
        /// The connection breaks.
        case breaks
    }

    private struct Broken: Error {}

    let content: [UInt8]
    let sheet: ModelSheet
    private let blocks: [UInt8]
    private let forged: (content: [UInt8], blocks: [UInt8], root: String)
    private let faults: [UInt64: Fault]
    private let asked = Mutex<[(node: UInt64, range: Range<UInt64>)]>([])

    init(_ faults: [UInt64: Fault], folder: String, file: String = Fixture.model) throws {
        self.faults = faults
        content = Array(try Data(contentsOf: URL(filePath: file)))
        let header = try ModelFile(path: file).header
        let digests = DigestCache(folder: "\(folder)/holder")
        let made = try digests.blocks(ofFile: file)
        blocks = made.bytes
        sheet = ModelSheet(
            name: "tiny", byteCount: header.fileByteCount, dataOffset: header.dataOffset, blocks: made.root,
            projector: header.architecture == "clip" ? nil : String(repeating: "0f", count: 32))
        var other = content
        other[other.count - 5] ^= 1
        let path = "\(folder)/forged.gguf"
        try Data(other).write(to: URL(filePath: path))
        let list = try digests.blocks(ofFile: path)
        forged = (other, list.bytes, list.root)
    }

    /// Whom bytes were asked for, in order and each once in a row.
    var order: [UInt64] {
        asked.withLock { asked in
            asked.reduce(into: []) { if $0.last != $1.node { $0.append($1.node) } }
        }
    }

    /// How many bytes were asked for.
    var byteCount: UInt64 { asked.withLock { $0.reduce(0) { $0 + UInt64($1.range.count) } } }

    func forget() { asked.withLock { $0 = [] } }

    func sheet(_ digest: String, of node: NodeID) async throws -> ModelSheet {
        var told = sheet
        switch faults[node.value] ?? .right {
        case .isOld: told.blocks = nil
        case .forges: told.blocks = forged.root
        case .boasts: (told.byteCount, told.dataOffset) = (1 << 62, 1 << 62)
        default: break
        }
        return told
    }

    func blocks(_ digest: String, of node: NodeID, limit: Int) async throws -> [UInt8] {
        switch faults[node.value] ?? .right {
        case .forges, .liesOfList: return forged.blocks
        // A release that knows no list of blocks knows no such route.
        case .isOld: throw Broken()
        default: return blocks
        }
    }

    func bytes(
        _ digest: String, _ range: Range<UInt64>, of node: NodeID, take: @escaping @Sendable (ByteBuffer) throws -> Void
    ) async throws {
        asked.withLock { $0.append((node.value, range)) }
        let place = Int(range.lowerBound)..<Int(range.upperBound)
        var bytes = Array(content[place])
        switch faults[node.value] ?? .right {
        case .flips: bytes[bytes.count / 2] ^= 4
        case .truncates: bytes.removeLast(1)
        case .adds: bytes.append(0)
        case .shifts: bytes = place.map { content[($0 + 1) % content.count] }
        case .forges: bytes = Array(forged.content[place])
        default: break
        }
        for start in stride(from: 0, to: bytes.count, by: 30_000) {
            if case .breaks = faults[node.value] ?? .right, start > 0 { throw Broken() }
            try take(ByteBuffer(bytes: bytes[start..<min(bytes.count, start + 30_000)]))
        }
    }
}

@Suite struct `A model of other members` {
    private static let layers = LayerRange(first: 0, end: 2)

    private struct Setting {
        var holders: Holders
        var library: ModelLibrary
        var identity: ModelIdentity
        var folder: String
    }

    /// A library without files, and members 1, 2, … that have the model.
    private func with(
        _ faults: [UInt64: Holders.Fault], isAgreed: Bool = true, limit: ByteCount = ByteCount(64 << 30),
        _ body: (Setting) async throws -> Void
    ) async throws {
        try await Fixture.withFolder { folder in
            let holders = try Holders(faults, folder: folder)
            let digest = try DigestCache(folder: "\(folder)/holder").digest(ofFile: Fixture.model)
            let library = ModelLibrary(
                caches: NodeCaches(folder: "\(folder)/cache", fetchedLimit: limit), dataFolder: folder,
                peers: holders, logger: Fixture.silence
            ) { _ in faults.keys.sorted().map { NodeID($0) } }
            let root = try #require(holders.sheet.blocks)
            let identity = ModelIdentity(digest: digest, blocks: isAgreed ? root : "")
            try await body(Setting(holders: holders, library: library, identity: identity, folder: folder))
        }
    }

    /// The stage as it is cut from the file itself.
    private func expected(_ layers: LayerRange, _ digest: String, _ folder: String) throws -> [UInt8] {
        let plan = try ModelFile(path: Fixture.model).cutter().plan(layers)
        let cache = NodeCaches(folder: "\(folder)/own")
        let pin = try cache.stages.materialise(plan, of: Fixture.model, digest: digest)
        return Array(try Data(contentsOf: URL(filePath: pin.path)))
    }

    @Test func `a stage is fetched in whole blocks and equals the one cut from the file`() async throws {
        try await with([1: .right]) { here in
            let (file, _) = try await here.library.stage(here.identity, layers: Self.layers) { _ in }
            let bytes = Array(try Data(contentsOf: URL(filePath: file.path)))
            #expect(try bytes == expected(Self.layers, here.identity.digest, here.folder))
            #expect(here.holders.byteCount < UInt64(here.holders.content.count))
            // The header is here, so nobody is needed for what was cut already.
            here.holders.forget()
            _ = try await here.library.stage(here.identity, layers: Self.layers) { _ in }
            #expect(here.holders.order.isEmpty)
        }
    }

    @Test(
        arguments: [.flips, .truncates, .adds, .shifts, .forges, .liesOfList, .isOld, .boasts, .breaks]
            as [Holders.Fault])
    func `a wrong holder is passed over for the next one`(fault: Holders.Fault) async throws {
        try await with([1: fault, 2: .right]) { here in
            let (file, _) = try await here.library.stage(here.identity, layers: Self.layers) { _ in }
            let bytes = Array(try Data(contentsOf: URL(filePath: file.path)))
            #expect(try bytes == expected(Self.layers, here.identity.digest, here.folder))
            // An older release tells no list, but its bytes are held against the list of another.
            #expect(here.holders.order.last == (fault == .isOld ? 1 : 2))
        }
    }

    @Test(arguments: [.flips, .truncates, .adds, .shifts] as [Holders.Fault])
    func `who sent wrong bytes is not asked again, and the error says what was wrong`(fault: Holders.Fault) async throws
    {
        try await with([1: fault]) { here in
            do {
                _ = try await here.library.stage(here.identity, layers: Self.layers) { _ in }
                Issue.record("wrong bytes were taken")
            } catch LibraryError.notFetched(_, let reasons) {
                #expect(reasons.count == 1 && reasons[0].contains("sent wrong bytes of a model"), "\(reasons)")
            }
            here.holders.forget()
            await #expect {
                _ = try await here.library.stage(here.identity, layers: Self.layers) { _ in }
            } throws: { error in
                guard case .doubted(_, [NodeID(1)])? = error as? LibraryError else { return false }
                return true
            }
            #expect(here.holders.order.isEmpty)
        }
    }

    @Test func `a broken connection is no doubt, and what had come is kept`() async throws {
        try await with([1: .breaks]) { here in
            for _ in 0..<2 {
                await #expect(throws: LibraryError.self) { _ = try await here.library.header(here.identity) }
            }
            #expect(here.holders.order == [1])
        }
    }

    @Test func `other digests of blocks than were agreed on are refused by name`() async throws {
        try await with([1: .forges]) { here in
            do {
                _ = try await here.library.header(here.identity)
                Issue.record("another model was taken")
            } catch LibraryError.notFetched(_, let reasons) {
                #expect(reasons[0].contains("other digests of the model's blocks"), "\(reasons)")
            }
            #expect(here.holders.order.isEmpty, "no bytes were asked for")
        }
    }

    @Test func `where nothing was agreed on the whole is still checked against the digest`() async throws {
        try await with([1: .forges], isAgreed: false) { here in
            let count = try await here.library.header(here.identity).cutter().layerCount
            await #expect(throws: StoreError.self) {
                _ = try await here.library.stage(here.identity, layers: LayerRange(first: 0, end: count)) { _ in }
            }
        }
        try await with([1: .right], isAgreed: false) { here in
            let count = try await here.library.header(here.identity).cutter().layerCount
            let (file, _) = try await here.library.stage(
                here.identity, layers: LayerRange(first: 0, end: count)
            ) { _ in }
            #expect(Array(try Data(contentsOf: URL(filePath: file.path))) == here.holders.content)
            #expect(await here.library.root(ofBlocksOf: here.identity.digest) == here.holders.sheet.blocks)
            #expect(try await here.library.sheet(here.identity.digest).blocks == here.holders.sheet.blocks)
        }
    }

    @Test func `a fetched model stays while it is used, and makes way afterwards`() async throws {
        try await with([1: .right], limit: ByteCount(1)) { here in
            let count = try await here.library.header(here.identity).cutter().layerCount
            let whole = LayerRange(first: 0, end: count)
            var held: StageFile? = try await here.library.stage(here.identity, layers: whole) { _ in }.file
            let path = try #require(held?.path)
            #expect(held?.pin != nil)
            await here.library.makeRoom(for: 1)
            #expect(FileManager.default.fileExists(atPath: path))
            #expect(await here.library.known.map(\.digest) == [here.identity.digest])
            held = nil
            await here.library.makeRoom(for: 1)
            #expect(!FileManager.default.fileExists(atPath: path))
            #expect(await here.library.known.isEmpty)
            // It is fetched again like one that was never here.
            held = try await here.library.stage(here.identity, layers: whole) { _ in }.file
            #expect(held?.path == path && FileManager.default.fileExists(atPath: path))
        }
    }

    // MARK: Projectors

    /// A library without files beside members that have a projector for the built-in model.
    private func withProjector(
        width: Int = 256, _ faults: [UInt64: Holders.Fault] = [1: .right], _ body: (Setting) async throws -> Void
    ) async throws {
        try await Fixture.withFolder { folder in
            let path = "\(folder)/mmproj.gguf"
            try ModelSynthesis.write(ProjectorShape(width: width), seed: 7, to: path)
            let holders = try Holders(faults, folder: folder, file: path)
            let digest = try DigestCache(folder: "\(folder)/holder").digest(ofFile: path)
            let library = ModelLibrary(
                caches: NodeCaches(folder: "\(folder)/cache"), dataFolder: folder, peers: holders,
                logger: Fixture.silence
            ) { asked in asked == digest ? faults.keys.sorted().map { NodeID($0) } : [] }
            let identity = ModelIdentity(digest: digest, blocks: try #require(holders.sheet.blocks))
            try await body(Setting(holders: holders, library: library, identity: identity, folder: folder))
        }
    }

    @Test func `a projector is fetched whole, checked by blocks, held while it is used, and told of`() async throws {
        try await withProjector([1: .flips, 2: .right]) { here in
            let held = try await here.library.whole(here.identity) { _ in }
            #expect(Array(try Data(contentsOf: URL(filePath: held.path))) == here.holders.content)
            #expect(held.pin != nil && here.holders.order.last == 2)
            here.holders.forget()
            #expect(try await here.library.whole(here.identity) { _ in }.path == held.path)
            #expect(here.holders.order.isEmpty)
            // It can be had from here now, and is no model.
            let told = try await here.library.sheet(here.identity.digest)
            #expect(told.isProjector == true && told.projector == nil)
            #expect(await here.library.known.map(\.isProjector) == [true])
        }
    }

    @Test func `a projector that nobody has is said to be missing`() async throws {
        try await withProjector([:]) { here in
            #expect(await here.library.heldHeader(here.identity) == nil)
            #expect(await here.library.projector(of: here.identity.digest) == nil)
        }
    }

    @Test func `what a node serves a model with is told, by itself and by members`() async throws {
        let projector = String(repeating: "0f", count: 32)
        try await with([1: .right]) { here in
            #expect(await here.library.projector(of: here.identity.digest) == projector)
            let own = String(repeating: "ab", count: 32)
            await here.library.note(projector: own, of: here.identity.digest)
            #expect(await here.library.projector(of: here.identity.digest) == own)
            let book = try await here.library.add(path: Fixture.model)
            #expect(book.digest == here.identity.digest && book.isProjector == nil)
            #expect(try await here.library.sheet(here.identity.digest).projector == own)
        }
    }

    @Test func `a projector is held against the model by their headers`() async throws {
        try await withProjector { here in
            let model = try await here.library.add(path: Fixture.model)
            var wish = Deployment(name: "d", model: "tiny")
            wish.digest = model.digest
            #expect(try await here.library.projectorNeed(wish) == nil)
            (wish.projector, wish.projectorBlocks) = (here.identity.digest, here.identity.blocks)
            let need = try #require(try await here.library.projectorNeed(wish))
            #expect(!need.isWhole && need.footprint.total.bytes > UInt64(here.holders.content.count))
        }
        try await withProjector(width: 320) { here in
            let model = try await here.library.add(path: Fixture.model)
            var wish = Deployment(name: "d", model: "tiny")
            (wish.digest, wish.projector) = (model.digest, here.identity.digest)
            do {
                _ = try await here.library.projectorNeed(wish)
                Issue.record("taken")
            } catch let refusal as ProjectorRefusal {
                #expect(refusal.obstacle == .otherWidth(projector: 320, model: 256))
            }
            // The projector is no model.
            wish.digest = here.identity.digest
            await #expect(throws: (any Error).self) { try await here.library.footprint(wish.identity) }
        }
    }

    @Test func `doubts are few and end`() {
        var doubts = HolderDoubts()
        let now = ContinuousClock.now
        for node in 1...1000 as ClosedRange<UInt64> { doubts.note(NodeID(node), about: "d", now: now) }
        #expect(doubts.mayAsk(NodeID(1), for: "d", now: now))
        #expect(!doubts.mayAsk(NodeID(1000), for: "d", now: now))
        #expect(doubts.mayAsk(NodeID(1000), for: "e", now: now))
        #expect(doubts.mayAsk(NodeID(1000), for: "d", now: now + .seconds(HolderDoubts.seconds)))
    }
}
