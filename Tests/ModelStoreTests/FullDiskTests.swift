import Foundation
import GGUF
import Testing
import Vocabulary

@testable import ModelStore

/// A file system of a few hundred kilobytes, gone with the value; nil where this user may not mount one.
final class SmallDisk {
    let folder: String

    init?(kilobytes: Int) throws {
        let url = FileManager.default.temporaryDirectory.appending(path: "skein-disk-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        folder = url.path
        guard Self.run("mount", ["-t", "tmpfs", "-o", "size=\(kilobytes)k", "tmpfs", folder]) else {
            try? FileManager.default.removeItem(atPath: folder)
            print("skipped: no small file system can be mounted here, which takes Linux and root")
            return nil
        }
    }

    deinit {
        _ = Self.run("umount", ["-l", folder])
        try? FileManager.default.removeItem(atPath: folder)
    }

    func path(_ name: String) -> String { "\(folder)/\(name)" }

    /// Takes all room but so many bytes.
    func fill(leaving bytes: Int) throws {
        var facts = statvfs()
        guard statvfs(folder, &facts) == 0 else { throw CocoaError(.fileReadUnknown) }
        let free = Int(facts.f_bavail) * Int(facts.f_frsize)
        try Data(repeating: 1, count: max(0, free - bytes)).write(to: URL(filePath: path("filler")))
    }

    func makeRoom() throws { try FileManager.default.removeItem(atPath: path("filler")) }

    func names(in name: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path(name))) ?? []).sorted()
    }

    private static func run(_ command: String, _ arguments: [String]) -> Bool {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [command] + arguments
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}

/// Every write of the store onto a disk that has no room left: an error with the path and the numbers, nothing half
/// done left behind, and the same call succeeds once there is room.
@Suite struct `A full disk` {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func isFull(_ error: any Error, below folder: String) -> Bool {
        guard case .diskFull(let path, _, let free)? = error as? StoreError else { return false }
        return path.hasPrefix(folder) && free.bytes < 1 << 20 && !"\(error)".isEmpty
    }

    @Test func `ends the making of a stage's file`() throws {
        guard let disk = try SmallDisk(kilobytes: 4096) else { return }
        let plan = try ModelFile(path: Models.builtin).cutter().plan(LayerRange(first: 0, end: 2))
        let cache = StageFileCache(folder: disk.path("stages"))
        try disk.fill(leaving: 40_000)
        #expect {
            _ = try cache.materialise(plan, of: Models.builtin, digest: "d")
        } throws: {
            isFull($0, below: disk.folder)
        }
        #expect(disk.names(in: "stages") == [])
        try disk.makeRoom()
        let pin = try cache.materialise(plan, of: Models.builtin, digest: "d")
        #expect(pin.byteCount == plan.fileByteCount)
    }

    @Test func `ends a fetch, which goes on where it was`() throws {
        guard let disk = try SmallDisk(kilobytes: 1024) else { return }
        let content = [UInt8](repeating: 9, count: 400_000)
        let blocks = try DigestCache(folder: scratch.path("digests"))
            .blocks(ofFile: try scratch.write(content, to: "whole"))
        try disk.fill(leaving: 200_000)
        let part = try PartialModel(folder: disk.path("models"), digest: digestOfD, blocks: blocks)
        let intake = PartIntake(part, range: 0..<400_000)
        #expect {
            try content.withUnsafeBytes { try intake.take($0) }
        } throws: { error in
            guard case .store(let failure)? = error as? PartFault else { return false }
            return isFull(failure, below: disk.folder)
        }
        let taken = intake.taken.upperBound
        #expect(taken > 0 && taken < 400_000)
        try disk.makeRoom()
        try intake.keep()
        #expect(part.has(0..<taken) && !part.has(0..<taken + 1))
        let rest = PartIntake(part, range: taken..<400_000)
        try content[Int(taken)...].withUnsafeBytes { try rest.take($0) }
        try rest.keep()
        #expect(part.has(0..<400_000))
        #expect(try Models.bytes(part.path) == content)
    }

    @Test func `keeps nothing of a part whose digests find no room`() throws {
        guard let disk = try SmallDisk(kilobytes: 256) else { return }
        let whole = try scratch.write([UInt8](repeating: 9, count: 60 << 20), to: "whole")
        let blocks = try DigestCache(folder: scratch.path("digests")).blocks(ofFile: whole)
        try disk.fill(leaving: 12_000)
        #expect {
            _ = try PartialModel(folder: disk.path("models"), digest: digestOfD, blocks: blocks)
        } throws: {
            isFull($0, below: disk.folder)
        }
        #expect(!disk.names(in: "models").contains { $0.hasSuffix(".blocks") })
        #expect(PartialModel(folder: disk.path("models"), digest: digestOfD) == nil)
        try disk.makeRoom()
        let part = try PartialModel(folder: disk.path("models"), digest: digestOfD, blocks: blocks)
        #expect(!part.has(0..<1))
    }

    @Test func `costs digests their notes, and no more`() throws {
        guard let disk = try SmallDisk(kilobytes: 256) else { return }
        let path = try scratch.write([UInt8](repeating: 9, count: 60 << 20), to: "whole")
        let expected = try DigestCache(folder: scratch.path("digests")).blocks(ofFile: path)
        let cache = DigestCache(folder: disk.path("digests"))
        try disk.fill(leaving: 12_000)
        #expect(try cache.blocks(ofFile: path) == expected)
        #expect(disk.names(in: "digests") == [])
        try disk.makeRoom()
        #expect(try cache.blocks(ofFile: path) == expected)
        #expect(disk.names(in: "digests").count == 1)
    }

    @Test func `is told when a file of the program finds no room`() throws {
        guard let disk = try SmallDisk(kilobytes: 256) else { return }
        try disk.fill(leaving: 8192)
        let bytes = [UInt8](repeating: 4, count: 100_000)
        #expect {
            try bytes.withUnsafeBytes { try StoreFiles.write($0, to: disk.path("builtin/model")) }
        } throws: {
            isFull($0, below: disk.folder)
        }
        #expect(disk.names(in: "builtin") == [])
        try disk.makeRoom()
        try bytes.withUnsafeBytes { try StoreFiles.write($0, to: disk.path("builtin/model")) }
        #expect(try Models.bytes(disk.path("builtin/model")) == bytes)
    }
}
