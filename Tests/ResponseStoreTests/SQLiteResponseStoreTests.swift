import Dialects
import Foundation
import GRDB
import Gateway
import ResponseStore
import Testing

@Suite struct `SQLite response store` {
    /// A folder that is gone after the test.
    private static func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "skein-responses-\(UUID())").path()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder)
    }

    private static func record(_ name: String, created: Int64 = 100, bytes: Int = 10) -> Responses.Record {
        Responses.Record(
            id: "resp_\(name)", previousID: "resp_before", created: created, input: Array("[]".utf8),
            body: Array(repeating: UInt8(ascii: "x"), count: bytes))
    }

    private static func store(
        _ folder: String, now: Int64 = 100, _ change: (inout ResponseRetention) -> Void = { _ in }
    ) throws -> SQLiteResponseStore {
        var retention = ResponseRetention()
        change(&retention)
        return try SQLiteResponseStore(path: "\(folder)/data/responses.sqlite", retention: retention, now: { now })
    }

    @Test func `what is saved is loaded, replaced and deleted, also by the next process`() async throws {
        try await Self.withFolder { folder in
            let first = try Self.store(folder)
            let record = Self.record("a")
            try await first.save(record)
            #expect(try await first.load(id: "resp_a") == record)
            #expect(try await first.load(id: "resp_b") == nil)
            var changed = record
            changed.previousID = nil
            changed.body = Array("é😀\u{0}".utf8)
            try await first.save(changed)
            let second = try Self.store(folder)
            #expect(second.setAside == nil)
            #expect(try await second.load(id: "resp_a") == changed)
            #expect(try await second.usage() == (1, changed.size))
            #expect(try await second.delete(id: "resp_a"))
            #expect(try await !second.delete(id: "resp_a"))
            #expect(try await second.usage() == (0, 0))
        }
    }

    @Test func `the oldest go when there are too many or they are too large`() async throws {
        try await Self.withFolder { folder in
            let size = Self.record("0", bytes: 1000).size
            let store = try Self.store(folder) {
                $0.count = 3
                $0.bytes = 2 * size + 100
            }
            for name in ["0", "1", "2", "3"] { try await store.save(Self.record(name, bytes: 10)) }
            #expect(try await store.load(id: "resp_0") == nil)
            #expect(try await store.usage().count == 3)
            // Saved again, a response is young again.
            try await store.save(Self.record("1", bytes: 10))
            for name in ["4", "5"] { try await store.save(Self.record(name, bytes: 1000)) }
            #expect(try await store.load(id: "resp_3") == nil)
            #expect(try await store.load(id: "resp_1") != nil)
            #expect(try await store.load(id: "resp_5") != nil)
            await #expect(throws: ResponseStoreError.tooLarge(bytes: 5017, limit: 2 * size + 100)) {
                try await store.save(Self.record("6", bytes: 5009))
            }
        }
    }

    @Test func `what is too old is neither loaded nor kept`() async throws {
        try await Self.withFolder { folder in
            let store = try Self.store(folder, now: 1000) { $0.ageSeconds = 100 }
            try await store.save(Self.record("old", created: 899))
            try await store.save(Self.record("new", created: 900))
            #expect(try await store.load(id: "resp_old") == nil)
            #expect(try await store.load(id: "resp_new") != nil)
            let later = try Self.store(folder, now: 1001) { $0.ageSeconds = 100 }
            #expect(try await later.load(id: "resp_new") == nil)
        }
    }

    @Test func `a full disk is an error of its own, and what was kept stays`() async throws {
        try await Self.withFolder { folder in
            let store = try Self.store(folder) { $0.fileBytes = 256 << 10 }
            let kept = Self.record("a", bytes: 4000)
            try await store.save(kept)
            await #expect(throws: ResponseStoreError.full) { try await store.save(Self.record("b", bytes: 1 << 20)) }
            #expect(try await store.load(id: "resp_a") == kept)
            #expect(try await store.usage() == (1, kept.size))
            try await store.save(Self.record("c", bytes: 4000))
        }
    }

    @Test(arguments: ["not a database at all", ""])
    func `a damaged file is set aside and an empty one takes its place`(content: String) async throws {
        try await Self.withFolder { folder in
            let path = "\(folder)/data/responses.sqlite"
            do {
                let store = try Self.store(folder)
                for number in 0..<50 { try await store.save(Self.record("\(number)", bytes: 5000)) }
                #expect(try await store.usage().count == 50)
            }
            if content.isEmpty {
                // Pages in the middle are overwritten; the header stays whole.
                let file = try FileHandle(forUpdating: URL(filePath: path))
                try file.seek(toOffset: 4096)
                try file.write(contentsOf: Data(repeating: 0xA5, count: 8192))
                try file.close()
            } else {
                try Data(String(repeating: content, count: 100).utf8).write(to: URL(filePath: path))
            }
            for ending in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + ending) }
            let fresh = try Self.store(folder)
            #expect(fresh.setAside == "\(path).damaged-1")
            #expect(FileManager.default.fileExists(atPath: "\(path).damaged-1"))
            #expect(try await fresh.usage() == (0, 0))
            try await fresh.save(Self.record("a"))
            #expect(try Self.store(folder).setAside == nil)
        }
    }

    @Test func `a file of a later release is left alone`() async throws {
        try await Self.withFolder { folder in
            let path = "\(folder)/data/responses.sqlite"
            _ = try Self.store(folder)
            try await DatabaseQueue(path: path).write { try $0.execute(sql: "PRAGMA user_version = 99") }
            #expect {
                try Self.store(folder)
            } throws: { error in
                "\(error)".contains("has version 99")
            }
            #expect(!FileManager.default.fileExists(atPath: "\(path).damaged-1"))
        }
    }

    @Test func `a place that cannot be written is an error with its path`() async throws {
        #expect {
            try SQLiteResponseStore(path: "/dev/null/responses.sqlite", now: { 0 })
        } throws: { error in
            if case ResponseStoreError.failed(let reason) = error { !reason.isEmpty } else { false }
        }
    }

    @Test func `only its user may read the file`() async throws {
        try await Self.withFolder { folder in
            let store = try Self.store(folder)
            try await store.save(Self.record("a"))
            let path = "\(folder)/data/responses.sqlite"
            for (place, mode) in [(path, 0o600), ("\(folder)/data", 0o700)] {
                let attributes = try FileManager.default.attributesOfItem(atPath: place)
                #expect(attributes[.posixPermissions] as? Int == mode, "\(place)")
            }
        }
    }
}
