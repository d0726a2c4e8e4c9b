import Cluster
import Foundation
import GRDB

/// The file behind the store: private to its user, locked, checked when it is opened, and set aside when damaged.
enum StoreFile {
    /// Version of the tables; a file of a later one is not touched.
    private static let version = 2

    static func open(_ path: String, fileBytes: Int, owner: StoreOwner?) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.busyMode = .timeout(StoreLimits.busySeconds)
        configuration.journalMode = .wal
        configuration.label = "skein.cluster"
        let pages = max(1, fileBytes / StoreLimits.pageBytes)
        configuration.prepareDatabase { database in
            // Held from the first access on: two control planes must never share a memory.
            try database.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
            try database.execute(sql: "PRAGMA synchronous = FULL")
            try database.execute(sql: "PRAGMA journal_size_limit = \(StoreLimits.logBytes)")
            _ = try Int.fetchOne(database, sql: "PRAGMA max_page_count = \(pages)")
        }
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.write { database in
            let verdict = try String.fetchOne(database, sql: "PRAGMA quick_check(1)")
            guard verdict == "ok" else {
                throw StoreDamage(field: "the event store's file", reason: verdict ?? "no verdict")
            }
            let found = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
            guard found <= version else {
                throw StoreFailure.failed(
                    reason: "\(path) has version \(found), this release knows \(version); update it")
            }
            if found == 0 { try StoreTables.make(database) }
            if found == 1 { try StoreTables.addForgotten(database) }
            if found < version {
                try StoreTables.makeOwner(database)
                try database.execute(sql: "PRAGMA user_version = \(version)")
            }
            if let owner { try StoreTables.claim(for: owner, database) }
        }
        return queue
    }

    static func makePrivate(_ path: String) throws {
        let folder = URL(filePath: path).deletingLastPathComponent().path()
        let files = FileManager.default
        try files.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        guard !files.fileExists(atPath: path) else { return }
        guard files.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600]) else {
            throw StoreFailure.failed(reason: "\(path) cannot be written")
        }
    }

    /// Moves the file away, to the first free name that tells why; of too many the last one is replaced.
    static func setAside(_ path: String, as why: String) throws -> String {
        let files = FileManager.default
        let names = (1...StoreLimits.asideFiles).map { "\(path).\(why)-\($0)" }
        let name = names.first { !files.fileExists(atPath: $0) } ?? "\(path).\(why)-\(StoreLimits.asideFiles)"
        for ending in ["", "-wal", "-shm"] {
            if files.fileExists(atPath: name + ending) { try files.removeItem(atPath: name + ending) }
            guard files.fileExists(atPath: path + ending) else { continue }
            try files.moveItem(atPath: path + ending, toPath: name + ending)
        }
        return name
    }
}
