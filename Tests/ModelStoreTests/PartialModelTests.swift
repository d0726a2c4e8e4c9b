import Crypto
import Foundation
import GGUF
import Testing
import Vocabulary

@testable import ModelStore

let digestOfD = String(repeating: "d", count: 64)
private let digestOfE = String(repeating: "e", count: 64)

@Suite struct `Digests of blocks` {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    @Test(
        arguments: [
            (0, 65_536), (1, 65_536), (1 << 30, 65_536), (1 << 30 + 1, 131_072), (64 << 30, 4 << 20),
            (1 << 40, 64 << 20),
        ] as [(UInt64, UInt64)])
    func `the size of a block follows from the file's length`(length: UInt64, block: UInt64) {
        #expect(BlockDigests.blockByteCount(ofFile: length) == block)
        #expect(BlockDigests.listByteCount(ofFile: length).map { $0 <= 8 + 32 * 16_384 } ?? false)
    }

    @Test func `longer files have no list`() {
        #expect(BlockDigests.blockByteCount(ofFile: 1 << 40 + 1) == nil)
        #expect(BlockDigests.listByteCount(ofFile: 1 << 40 + 1) == nil)
        #expect(BlockDigests(bytes: Array(repeating: 255, count: 40)) == nil)
    }

    @Test func `they are the SHA-256 of every block, and the root is that of the list`() throws {
        let content = (0..<150_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        let path = try scratch.write(content, to: "file")
        let blocks = try DigestCache(folder: scratch.path("digests")).blocks(ofFile: path)
        var list: [UInt8] = [0xF0, 0x49, 2, 0, 0, 0, 0, 0]
        for start in stride(from: 0, to: content.count, by: 65_536) {
            list += SHA256.hash(data: content[start..<min(content.count, start + 65_536)])
        }
        #expect(blocks.bytes == list)
        let root = SHA256.hash(data: Array("skein blocks 1\n".utf8) + list)
        #expect(blocks.root == Hexadecimal.text(root))
        #expect(BlockDigests(bytes: list) == blocks)
        #expect(BlockDigests(bytes: Array(list.dropLast())) == nil)
        #expect(BlockDigests(bytes: list + [0]) == nil)
        #expect(BlockDigests(bytes: []) == nil)
        #expect(blocks.aligned(1..<2) == 0..<65_536)
        #expect(blocks.aligned(65_535..<65_537) == 0..<131_072)
        #expect(blocks.aligned(140_000..<150_000) == 131_072..<150_000)
        #expect(blocks.aligned(0..<(1 << 50)) == 0..<150_000)
        #expect(blocks.aligned(70_000..<70_000).isEmpty)
    }

    @Test func `they are remembered, and a damaged note is made anew`() throws {
        let cache = DigestCache(folder: scratch.path("digests"))
        let path = try scratch.write(Array(repeating: 7, count: 70_000), to: "file")
        try Facts.setTimes(of: path, to: 1000)
        let digest = try cache.digest(ofFile: path)
        let blocks = try cache.blocks(ofFile: path)
        let note = try #require(scratch.names(in: "digests").first)
        #expect(scratch.names(in: "digests").count == 1)
        // What is remembered is believed: the file is not read again.
        try overwrite(path, Array(repeating: 8, count: 70_000))
        #expect(try cache.blocks(ofFile: path) == blocks)
        try overwrite(path, Array(repeating: 7, count: 70_000))
        var bytes = try Models.bytes(scratch.path("digests/\(note)"))
        bytes[bytes.count - 1] ^= 1
        for damaged in [bytes, Array(bytes.prefix(80)), Array(bytes.prefix(10)), []] {
            _ = try scratch.write(damaged, to: "digests/\(note)")
            #expect(try cache.blocks(ofFile: path) == blocks)
            #expect(try cache.digest(ofFile: path) == digest)
        }
    }

    private func overwrite(_ path: String, _ bytes: [UInt8]) throws {
        let handle = try FileHandle(forWritingTo: URL(filePath: path))
        try handle.write(contentsOf: Data(bytes))
        try handle.close()
        try Facts.setTimes(of: path, to: 1000)
    }
}

@Suite struct `A model in parts` {
    private let scratch: Scratch
    private let content: [UInt8]
    private let blocks: BlockDigests

    init() throws {
        scratch = try Scratch()
        var random = SeededRandom(seed: 5)
        content = (0..<400_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let path = try scratch.write(content, to: "whole")
        blocks = try DigestCache(folder: scratch.path("digests")).blocks(ofFile: path)
    }

    private func part(_ digest: String = digestOfD) throws -> PartialModel {
        try PartialModel(folder: scratch.path("models"), digest: digest, blocks: blocks)
    }

    private func send(_ bytes: some Sequence<UInt8>, to intake: PartIntake, by count: Int = 10_000) throws {
        let bytes = Array(bytes)
        for start in stride(from: 0, to: bytes.count, by: count) {
            try bytes[start..<min(bytes.count, start + count)].withUnsafeBytes { try intake.take($0) }
        }
    }

    private func fetch(_ wanted: Range<UInt64>, _ part: PartialModel) throws {
        for piece in part.missing([wanted], pieceByteCount: BlockDigests.largestBlock) {
            let intake = PartIntake(part, range: piece)
            try send(content[Int(piece.lowerBound)..<Int(piece.upperBound)], to: intake)
            try intake.end()
            try intake.keep()
        }
    }

    @Test(arguments: ["", "d", "../../elsewhere/x", digestOfD.uppercased(), "\(digestOfD)/"])
    func `what is no digest becomes no path`(digest: String) {
        #expect(throws: StoreError.self) { _ = try part(digest) }
        #expect(PartialModel(folder: scratch.path("models"), digest: digest) == nil)
        #expect(scratch.names(in: "models") == [])
    }

    @Test(arguments: [1, 4096, 65_536, 65_537, 400_000])
    func `right bytes are taken however they are cut`(count: Int) throws {
        let part = try part()
        let intake = PartIntake(part, range: 0..<400_000)
        try send(content, to: intake, by: count)
        try intake.end()
        try intake.keep()
        #expect(part.has(0..<400_000))
        #expect(try Models.bytes(part.path) == content)
    }

    @Test func `only whole blocks are asked for, and what is here is not asked for again`() throws {
        let part = try part()
        let most = BlockDigests.largestBlock
        #expect(part.missing([70_000..<70_001, 131_000..<140_000], pieceByteCount: most) == [65_536..<196_608])
        try fetch(70_000..<70_001, part)
        #expect(part.has(65_536..<131_072) && !part.has(65_536..<131_073))
        #expect(part.missing([0..<400_000], pieceByteCount: most) == [0..<65_536, 131_072..<400_000])
        // A later process goes on where this one was.
        let again = try #require(PartialModel(folder: scratch.path("models"), digest: digestOfD))
        #expect(again.blocks == blocks)
        #expect(again.has(65_536..<131_072))
    }

    @Test func `a flipped bit is noticed in its block, which is not written`() throws {
        let part = try part()
        var wrong = content
        wrong[200_000] ^= 0x10
        let intake = PartIntake(part, range: 0..<400_000)
        #expect(throws: PartFault.corrupted(block: 196_608..<262_144)) { try send(wrong, to: intake) }
        #expect(intake.taken == 0..<196_608)
        try intake.keep()
        #expect(part.has(0..<196_608) && !part.has(0..<196_609))
        #expect(try Models.bytes(part.path)[196_608...] == Array(repeating: 0, count: 203_392)[...])
    }

    @Test func `bytes of another place, too few and too many are noticed`() throws {
        let part = try part()
        #expect(throws: PartFault.corrupted(block: 65_536..<131_072)) {
            try send(content[0..<65_536], to: PartIntake(part, range: 65_536..<131_072))
        }
        let short = PartIntake(part, range: 0..<131_072)
        try send(content[0..<131_000], to: short)
        #expect(throws: PartFault.short(asked: 0..<131_072, came: 65_536)) { try short.end() }
        let long = PartIntake(part, range: 0..<65_536)
        #expect(throws: PartFault.excess(asked: 0..<65_536)) { try send(content[0..<70_000], to: long) }
        for fault in [PartFault.corrupted(block: 0..<1), .short(asked: 0..<2, came: 1), .excess(asked: 0..<2)] {
            #expect(!fault.description.isEmpty)
        }
    }

    @Test func `what was checked by another list is forgotten`() throws {
        try fetch(0..<400_000, try part())
        let other = try DigestCache(folder: scratch.path("digests"))
            .blocks(ofFile: try scratch.write(content.reversed(), to: "other"))
        let part = try PartialModel(folder: scratch.path("models"), digest: digestOfD, blocks: other)
        #expect(part.blocks == other)
        #expect(!part.has(0..<1))
        #expect(PartialModel(folder: scratch.path("models"), digest: digestOfD)?.blocks == other)
    }

    @Test func `notes of earlier releases, torn ones and a damaged list are not believed`() throws {
        try fetch(0..<131_072, try part())
        let notes = scratch.path("models/\(digestOfD).part.checked")
        let handle = try FileHandle(forWritingTo: URL(filePath: notes))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("131072 40000000\n131072 \nx y\n9 3\n196608 26".utf8))
        try handle.close()
        _ = try scratch.write(Array("0 400000\n".utf8), to: "models/\(digestOfD).part.ranges")
        let part = try part()
        #expect(part.has(0..<131_072) && !part.has(131_072..<131_073))
        let list = try Models.bytes(scratch.path("models/\(digestOfD).part.blocks"))
        _ = try scratch.write(Array(list.dropLast(3)), to: "models/\(digestOfD).part.blocks")
        #expect(PartialModel(folder: scratch.path("models"), digest: digestOfD) == nil)
        #expect(try !self.part().has(0..<1))
    }

    @Test func `the header stays, and the whole is checked against its digest`() throws {
        let part = try part()
        try fetch(0..<400_000, part)
        try part.keep(first: 100)
        #expect(part.has(0..<65_536) && !part.has(0..<65_537))
        #expect(try Models.bytes(part.path).count == 400_000)
        try fetch(0..<400_000, part)
        let cache = DigestCache(folder: scratch.path("digests"))
        let digest = try cache.digest(ofFile: scratch.path("whole"))
        let whole = try part.complete(digest: digest, with: cache)
        #expect(try Models.bytes(whole) == content)
        #expect(scratch.names(in: "models") == ["\(digestOfD).gguf"])
        let other = try self.part(digestOfE)
        try fetch(0..<400_000, other)
        #expect(throws: StoreError.self) { _ = try other.complete(digest: "another", with: cache) }
        #expect(scratch.names(in: "models") == ["\(digestOfD).gguf"])
    }
}

@Suite struct `Fetched models` {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func make(_ name: String, _ count: Int, usedAt seconds: Int) throws -> String {
        try FileManager.default.createDirectory(atPath: scratch.path("models"), withIntermediateDirectories: true)
        let path = try scratch.write(Array(repeating: 1, count: count), to: "models/\(name)")
        try Facts.setTimes(of: path, to: seconds)
        return path
    }

    @Test func `what was not used for longest makes way, and what is in use stays`() throws {
        let paths = try (0..<4).map { try make("m\($0).gguf", 1000, usedAt: [400, 100, 300, 200][$0]) }
        let foreign = try make("notes.txt", 9000, usedAt: 1)
        let pin = try #require(PinnedFile(path: paths[1]))
        let shelf = FileShelf.fetchedModels(folder: scratch.path("models"), byteLimit: ByteCount(4500))
        #expect(shelf.evict(toFit: 500) == [])
        #expect(shelf.evict(toFit: 1000) == [paths[3]])
        #expect(shelf.evict(toFit: 10_000) == [paths[2], paths[0]])
        #expect(scratch.names(in: "models") == ["m1.gguf", "notes.txt"])
        #expect(FileManager.default.fileExists(atPath: foreign) && shelf.has(pin.path) && !shelf.has("/models/m"))
    }

    @Test func `use is noted, and changes nothing a digest is remembered by`() throws {
        let path = try make("m.gguf", 10, usedAt: 1000)
        try #require(PinnedFile(path: path)).touch()
        #expect(try Facts(path).accessed > 1000)
        #expect(try Facts(path).modified == 1000)
    }

    @Test func `a part counts by what is there of it, goes with its notes, and stays while it is fetched`() throws {
        let whole = try scratch.write(Array(repeating: 3, count: 10 << 20), to: "whole")
        let blocks = try DigestCache(folder: scratch.path("digests")).blocks(ofFile: whole)
        var part: PartialModel? = try PartialModel(folder: scratch.path("models"), digest: digestOfD, blocks: blocks)
        let intake = PartIntake(try #require(part), range: 0..<65_536)
        try [UInt8](repeating: 3, count: 65_536).withUnsafeBytes { try intake.take($0) }
        try intake.keep()
        let shelf = FileShelf.fetchedModels(folder: scratch.path("models"), byteLimit: ByteCount(1 << 20))
        #expect(shelf.evict(toFit: 1 << 19) == [], "ten megabytes of holes are no bytes")
        #expect(shelf.evict(toFit: 1 << 20) == [], "it is being fetched")
        #expect(part?.has(0..<65_536) == true)
        withExtendedLifetime(intake) {}
        part = nil
    }

    @Test func `a part that nobody fetches makes way with its notes`() throws {
        let whole = try scratch.write(Array(repeating: 3, count: 200_000), to: "whole")
        let blocks = try DigestCache(folder: scratch.path("digests")).blocks(ofFile: whole)
        do { _ = try PartialModel(folder: scratch.path("models"), digest: digestOfD, blocks: blocks) }
        #expect(scratch.names(in: "models").count == 3)
        let shelf = FileShelf.fetchedModels(folder: scratch.path("models"), byteLimit: ByteCount(1))
        #expect(shelf.evict(toFit: 2) == [scratch.path("models/\(digestOfD).part")])
        #expect(scratch.names(in: "models") == [])
    }
}
