import Foundation
import LlamaEngine
import Serving
import Testing
import Vocabulary

@testable import Runner

@Suite(.timeLimit(.minutes(1))) struct `Sequences on disk` {
    /// A folder of one test; removed with it.
    private final class Scratch {
        let path = FileManager.default.temporaryDirectory.appending(path: "skein-archive-\(UUID())").path
        deinit { try? FileManager.default.removeItem(atPath: path) }

        func files(_ ending: String) -> [String] {
            ArchiveFolder(path: path).entries().map(\.path).filter { $0.hasSuffix(ending) }
        }
    }

    /// A stage's disk with what it tells.
    private struct Disk {
        let files: SequenceFiles
        let told: AsyncStream<ArchiveReport.Outcome>

        init?(
            _ scratch: Scratch, stage: Int = 0, limit: UInt64 = 1 << 20,
            change: (inout RunnerConfiguration) -> Void = { _ in }
        ) {
            var configuration = Configurations.stage(stage)
            change(&configuration)
            let identity = ArchiveIdentity(configuration, width: 2, engine: "1")
            guard
                let files = SequenceFiles(
                    ArchiveSettings(folder: scratch.path, byteLimit: limit), identity: identity, stage: stage)
            else { return nil }
            let (told, tell) = AsyncStream.makeStream(of: ArchiveReport.Outcome.self)
            files.whenDone { tell.yield($1) }
            (self.files, self.told) = (files, told)
        }

        func next() async -> ArchiveReport.Outcome? {
            for await outcome in told { return outcome }
            return nil
        }

        func save(_ sequence: ArchivedSequence, _ bytes: [UInt8]?) async -> ArchiveReport.Outcome? {
            files.save(sequence.key, bytes)
            return await next()
        }

        func load(_ sequence: ArchivedSequence) async -> [UInt8]? {
            files.fetch(sequence.key)
            guard await next() == .fetched else { return nil }
            return files.take(sequence.key)
        }

        func flush() async {
            await withCheckedContinuation { continuation in files.flush { continuation.resume() } }
        }
    }

    private let one = ArchivedSequence(tokens: [1, 2, 3])
    private let other = ArchivedSequence(tokens: [1, 2, 4])

    @Test func `what was written is read again, by another process too, and is for this user alone`() async throws {
        let scratch = Scratch()
        let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 * 7) }
        do {
            let disk = try #require(Disk(scratch))
            #expect(await disk.save(one, bytes) == .stored)
            disk.files.commit(one)
            await disk.flush()
        }
        let disk = try #require(Disk(scratch))
        #expect(disk.files.records() == [one])
        #expect(await disk.load(one) == bytes)
        // Taken once.
        #expect(disk.files.take(one.key) == nil)
        for path in scratch.files("") {
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600, "\(path)")
        }
        let folder = try FileManager.default.attributesOfItem(atPath: scratch.path)[.posixPermissions] as? Int
        #expect(folder == 0o700)
        disk.files.retract(one.key)
        disk.files.forget(one.key)
        await disk.flush()
        #expect(scratch.files("").isEmpty)
    }

    @Test(arguments: [0, 9, 41, 73, 81, 90, 96, 150])
    func `a damaged file is set aside and never used`(offset: Int) async throws {
        let scratch = Scratch()
        let disk = try #require(Disk(scratch))
        #expect(await disk.save(one, Array(repeating: 5, count: 100)) == .stored)
        let path = try #require(scratch.files(".part").first)
        var data = try Data(contentsOf: URL(filePath: path))
        data[offset] ^= 4
        try data.write(to: URL(filePath: path))
        #expect(await disk.load(one) == nil)
        #expect(!FileManager.default.fileExists(atPath: path))
        #expect(scratch.files(".part").allSatisfy { $0.contains("/damaged/") })
        #expect(await disk.load(one) == nil)
    }

    @Test func `a file that was cut short, or put under another name, is not used`() async throws {
        let scratch = Scratch()
        let disk = try #require(Disk(scratch))
        for length in [0, 50, 96, 120] {
            #expect(await disk.save(one, Array(repeating: 5, count: 100)) == .stored)
            let path = try #require(scratch.files(".part").first { !$0.contains("damaged") })
            try Data(contentsOf: URL(filePath: path)).prefix(length).write(to: URL(filePath: path))
            #expect(await disk.load(one) == nil, "\(length) bytes")
        }
        #expect(await disk.save(one, [1]) == .stored)
        let path = try #require(scratch.files(".part").first { !$0.contains("damaged") })
        try FileManager.default.moveItem(
            atPath: path, toPath: path.replacingOccurrences(of: "\(one.key)", with: "\(other.key)"))
        #expect(await disk.load(other) == nil)
        #expect(await disk.load(one) == nil)
    }

    @Test func `another model, cut, cache type or engine has other files`() async throws {
        let scratch = Scratch()
        let disk = try #require(Disk(scratch))
        #expect(await disk.save(one, [1, 2, 3]) == .stored)
        disk.files.commit(one)
        await disk.flush()
        let changes: [(inout RunnerConfiguration) -> Void] = [
            { $0.modelDigest = String(repeating: "b8", count: 32) },
            { $0.stages = [LayerRange(first: 0, end: 3), LayerRange(first: 3, end: 8)] },
            { $0.keyType = .q8_0 }, { $0.valueType = .f32 }, { $0.prefixReuse = .whole },
        ]
        for change in changes {
            let foreign = try #require(Disk(scratch, change: change))
            #expect(foreign.files.records().isEmpty)
            #expect(await foreign.load(one) == nil)
        }
        #expect(try #require(Disk(scratch, stage: 1)).files.records().isEmpty)
        let configuration = Configurations.stage(0)
        #expect(
            ArchiveIdentity(configuration, width: 2, engine: "1")
                != ArchiveIdentity(configuration, width: 2, engine: "2"))
    }

    @Test func `what was not used for longest makes way, and the limit holds`() async throws {
        let scratch = Scratch()
        let limit: UInt64 = 5000
        let disk = try #require(Disk(scratch, limit: limit))
        let sequences = (0..<12).map { ArchivedSequence(tokens: [Token($0)]) }
        for (index, sequence) in sequences.enumerated() {
            #expect(await disk.save(sequence, Array(repeating: 1, count: 900)) == .stored)
            // The first one stays in use.
            if index > 0 { #expect(await disk.load(sequences[0]) != nil, "\(index)") }
            #expect(ArchiveFolder(path: scratch.path).entries().reduce(0) { $0 + $1.byteCount } <= limit)
        }
        #expect(await disk.load(sequences[1]) == nil)
        #expect(await disk.load(sequences[11]) != nil)
        #expect(await disk.save(one, Array(repeating: 1, count: 6000)) == .failed)
        #expect(await disk.load(sequences[11]) != nil)
    }

    @Test func `what cannot be written is told and leaves nothing`() async throws {
        let scratch = Scratch()
        let disk = try #require(Disk(scratch))
        #expect(await disk.save(one, nil) == .failed)
        // A folder in the place of the temporary file stands for a disk that refuses.
        let folder = try #require(FileManager.default.subpaths(atPath: scratch.path)?.first { !$0.contains("/") })
        try FileManager.default.createDirectory(
            atPath: "\(scratch.path)/\(folder)/\(one.key).part.tmp/x", withIntermediateDirectories: true)
        #expect(await disk.save(one, [1]) == .failed)
        #expect(scratch.files(".part").isEmpty)
        #expect(await disk.save(other, [1]) == .stored)
    }

    @Test func `two runners do not share a folder`() throws {
        let scratch = Scratch()
        let first = try #require(Disk(scratch))
        #expect(Disk(scratch) == nil)
        #expect(Disk(scratch, stage: 1) != nil)
        withExtendedLifetime(first) {}
    }

    @Test func `deleting everything is safe while a runner uses it`() async throws {
        let scratch = Scratch()
        let disk = try #require(Disk(scratch))
        #expect(await disk.save(one, [1, 2]) == .stored)
        #expect(ArchiveFolder(path: scratch.path).deleteAll().files == 1)
        #expect(await disk.load(one) == nil)
        #expect(await disk.save(one, [3]) == .stored)
        #expect(await disk.load(one) == [3])
        #expect(ArchiveFolder(path: scratch.path + "/nowhere").deleteAll().files == 0)
    }

    @Test func `what was read is given back when nobody takes it`() async throws {
        let scratch = Scratch()
        let disk = try #require(Disk(scratch))
        #expect(await disk.save(one, [1, 2]) == .stored)
        disk.files.fetch(one.key)
        disk.files.release(one.key)
        #expect(await disk.next() == .fetched)
        await disk.flush()
        #expect(disk.files.take(one.key) == nil)
    }
}
