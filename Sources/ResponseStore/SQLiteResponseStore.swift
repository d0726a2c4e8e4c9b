package import Dialects
import Foundation
import GRDB
package import Gateway

/// Keeps responses in an SQLite file (WAL), within `ResponseRetention`.
///
/// The file holds what people asked and were answered: only its user may read it, and deleted text is overwritten.
/// A file that is damaged is set aside as `NAME.damaged-N`, and an empty one takes its place.
package final class SQLiteResponseStore: ResponseStoring {
    /// Version of the tables; a file of a later one is not touched.
    private static let version = 1
    private static let pageBytes = 4096
    /// How long a write waits for another program that has the file. **Units:** seconds.
    private static let busySeconds = 5.0
    /// Most rows dropped in one step.
    private static let dropStep = 32
    /// Most damaged files kept aside; beyond that the last one is replaced.
    private static let damagedFiles = 5

    private let queue: DatabaseQueue
    private let retention: ResponseRetention
    private let now: @Sendable () -> Int64
    /// Where a damaged file was put when this store was opened; nil when there was none.
    package let setAside: String?

    /// Opens the file at `path`, making it and its folder when they are not there. `now` tells seconds since 1970.
    ///
    /// **Throws:** `ResponseStoreError.full`, or `failed` when the place cannot be written or the file is of a later
    /// version.
    package init(
        path: String, retention: ResponseRetention = ResponseRetention(), now: @escaping @Sendable () -> Int64
    ) throws(ResponseStoreError) {
        self.retention = retention
        self.now = now
        do {
            try Self.makePrivateFile(path)
            do {
                queue = try Self.open(path, retention)
                setAside = nil
            } catch let error as DatabaseError where Self.isDamage(error) {
                setAside = try Self.setAside(path)
                try Self.makePrivateFile(path)
                queue = try Self.open(path, retention)
            }
        } catch {
            throw Self.translated(error)
        }
    }

    /// See `ResponseStoring`; in the same step, what is too old or too much is dropped.
    ///
    /// **Throws:** `ResponseStoreError.full`, `tooLarge` or `failed`.
    package func save(_ record: Responses.Record) async throws(ResponseStoreError) {
        let size = record.size
        guard size <= retention.bytes else { throw .tooLarge(bytes: size, limit: retention.bytes) }
        let oldest = now() - retention.ageSeconds
        let retention = retention
        try await write { database in
            try database.execute(sql: "DELETE FROM response WHERE id = ?", arguments: [record.id])
            try database.execute(
                sql: "INSERT INTO response (id, previous, created, input, body, bytes) VALUES (?, ?, ?, ?, ?, ?)",
                arguments: [
                    record.id, record.previousID, record.created, Data(record.input), Data(record.body), size,
                ])
            try database.execute(sql: "DELETE FROM response WHERE created < ?", arguments: [oldest])
            try Self.trim(database, retention)
        }
    }

    /// See `ResponseStoring`; a record that is too old is none.
    ///
    /// **Throws:** `ResponseStoreError.failed`.
    package func load(id: String) async throws(ResponseStoreError) -> Responses.Record? {
        let oldest = now() - retention.ageSeconds
        do {
            return try await queue.read { database in
                let row = try Row.fetchOne(
                    database, sql: "SELECT previous, created, input, body FROM response WHERE id = ? AND created >= ?",
                    arguments: [id, oldest])
                return row.map { row in
                    Responses.Record(
                        id: id, previousID: row["previous"], created: row["created"],
                        input: Array(row["input"] as Data), body: Array(row["body"] as Data))
                }
            }
        } catch {
            throw Self.translated(error)
        }
    }

    /// See `ResponseStoring`.
    ///
    /// **Throws:** `ResponseStoreError.full` or `failed`.
    package func delete(id: String) async throws(ResponseStoreError) -> Bool {
        try await write { database in
            try database.execute(sql: "DELETE FROM response WHERE id = ?", arguments: [id])
            return database.changesCount > 0
        }
    }

    /// How many responses and bytes are kept.
    ///
    /// **Throws:** `ResponseStoreError.failed`.
    package func usage() async throws(ResponseStoreError) -> (count: Int, bytes: Int) {
        do {
            return try await queue.read { try Self.totals($0) }
        } catch {
            throw Self.translated(error)
        }
    }

    private func write<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(ResponseStoreError) -> Value {
        do {
            return try await queue.write(body)
        } catch {
            throw Self.translated(error)
        }
    }

    // MARK: Size

    private static func totals(_ database: Database) throws -> (count: Int, bytes: Int) {
        guard let row = try Row.fetchOne(database, sql: "SELECT count, bytes FROM total") else { return (0, 0) }
        return (row["count"], row["bytes"])
    }

    private static func trim(_ database: Database, _ retention: ResponseRetention) throws {
        while true {
            let (count, bytes) = try totals(database)
            guard count > retention.count || bytes > retention.bytes else { return }
            // One by one near the end, so that no more goes than has to.
            let step = count > retention.count + dropStep ? dropStep : 1
            try database.execute(
                sql: "DELETE FROM response WHERE number IN (SELECT number FROM response ORDER BY number LIMIT ?)",
                arguments: [step])
        }
    }

    // MARK: File

    private static func open(_ path: String, _ retention: ResponseRetention) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.busyMode = .timeout(busySeconds)
        configuration.journalMode = .wal
        configuration.label = "skein.responses"
        let pages = max(1, retention.fileBytes / pageBytes)
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA synchronous = NORMAL")
            try database.execute(sql: "PRAGMA secure_delete = ON")
            _ = try Int.fetchOne(database, sql: "PRAGMA max_page_count = \(pages)")
        }
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.write { database in
            let verdict = try String.fetchOne(database, sql: "PRAGMA quick_check(1)")
            guard verdict == "ok" else {
                throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: verdict ?? "no verdict")
            }
            let found = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
            guard found <= version else {
                throw ResponseStoreError.failed(
                    reason: "\(path) has version \(found), this release knows \(version); update it")
            }
            if found == 0 { try makeTables(database) }
        }
        return queue
    }

    private static func makeTables(_ database: Database) throws {
        try database.execute(
            sql: """
                CREATE TABLE response (
                    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, previous TEXT,
                    created INTEGER NOT NULL, input BLOB NOT NULL, body BLOB NOT NULL, bytes INTEGER NOT NULL);
                CREATE INDEX response_created ON response (created);
                CREATE TABLE total (count INTEGER NOT NULL, bytes INTEGER NOT NULL);
                INSERT INTO total VALUES (0, 0);
                CREATE TRIGGER response_added AFTER INSERT ON response BEGIN
                    UPDATE total SET count = count + 1, bytes = bytes + new.bytes; END;
                CREATE TRIGGER response_gone AFTER DELETE ON response BEGIN
                    UPDATE total SET count = count - 1, bytes = bytes - old.bytes; END;
                PRAGMA user_version = \(version);
                """)
    }

    private static func makePrivateFile(_ path: String) throws {
        let folder = URL(filePath: path).deletingLastPathComponent().path()
        let files = FileManager.default
        try files.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        guard !files.fileExists(atPath: path) else { return }
        guard files.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600]) else {
            throw ResponseStoreError.failed(reason: "\(path) cannot be written")
        }
    }

    private static func setAside(_ path: String) throws -> String {
        let files = FileManager.default
        let names = (1...damagedFiles).map { "\(path).damaged-\($0)" }
        let name = names.first { !files.fileExists(atPath: $0) } ?? "\(path).damaged-\(damagedFiles)"
        for ending in ["", "-wal", "-shm"] where files.fileExists(atPath: path + ending) {
            if files.fileExists(atPath: name + ending) { try files.removeItem(atPath: name + ending) }
            try files.moveItem(atPath: path + ending, toPath: name + ending)
        }
        return name
    }

    // MARK: Errors

    private static func isDamage(_ error: DatabaseError) -> Bool {
        error.resultCode == .SQLITE_CORRUPT || error.resultCode == .SQLITE_NOTADB
    }

    private static func translated(_ error: any Error) -> ResponseStoreError {
        switch error {
        case let error as ResponseStoreError: return error
        case let error as DatabaseError:
            if error.resultCode == .SQLITE_FULL { return .full }
            return .failed(reason: "SQLite \(error.extendedResultCode.rawValue): \(error.message ?? "no message")")
        default:
            let code = (error as NSError).code
            let isFull = code == CocoaError.Code.fileWriteOutOfSpace.rawValue
            return isFull ? .full : .failed(reason: "\(error)")
        }
    }
}
