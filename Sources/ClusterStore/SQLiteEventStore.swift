package import Cluster
import Foundation
import GRDB
import Vocabulary

/// The durable memory of a control plane in one SQLite file: what it holds is what `StoredCluster.apply` says.
///
/// Every `write` is one transaction, and returns after the write-ahead log was synced: a loss of power keeps all of it
/// or nothing. Every row has a checksum. A file that is damaged is set aside as `NAME.damaged-N`, an empty one takes
/// its place, and the next `load` says so once. The file is locked: a second process with the same folder is refused.
///
/// **Isolation:** owned by one actor. `write` blocks its thread until the disk has the records.
package struct SQLiteEventStore: EventStore, Sendable {
    private let path: String
    private let fileBytes: Int
    private let owner: StoreOwner?
    private var queue: DatabaseQueue
    /// Damage that the next `load` reports.
    private var damage: StoreFailure?
    /// Where damaged files and those of others were put by this store, oldest first.
    package private(set) var setAside: [String] = []
    /// Whose memory was found in the place and set aside, when it was somebody else's.
    package private(set) var foreigner: StoreOwner?

    /// Opens the file at `path`, making it and its folder when they are not there.
    ///
    /// With an `owner`, a file of another one is set aside as `NAME.foreign-N`, as happens when an identity is deleted
    /// and its memory is not.
    ///
    /// **Units:** `fileBytes` is the largest size of the file.
    /// **Throws:** `StoreFailure.full`, or `failed` when the place cannot be written, another process has the file, or
    /// it is of a later release.
    package init(
        path: String, owner: StoreOwner? = nil, fileBytes: Int = StoreLimits.fileBytes
    ) throws(StoreFailure) {
        self.path = path
        self.owner = owner
        self.fileBytes = fileBytes
        do {
            try StoreFile.makePrivate(path)
            queue = try StoreFile.open(path, fileBytes: fileBytes, owner: owner)
        } catch let error where Self.isDamage(error) || error is ForeignStore {
            foreigner = (error as? ForeignStore)?.owner
            do {
                setAside.append(try StoreFile.setAside(path, as: foreigner == nil ? "damaged" : "foreign"))
                try StoreFile.makePrivate(path)
                queue = try StoreFile.open(path, fileBytes: fileBytes, owner: owner)
            } catch {
                throw Self.translated(error, path)
            }
            damage = foreigner == nil ? Self.damage(error) : nil
        } catch {
            throw Self.translated(error, path)
        }
    }

    /// See `EventStore`.
    ///
    /// **Throws:** `StoreFailure.damaged` once after a damaged file was set aside, then loads the empty one;
    /// `StoreFailure.failed` when nothing can be read.
    package mutating func load() throws(StoreFailure) -> StoredCluster {
        if let found = damage {
            damage = nil
            throw found
        }
        do {
            return try queue.read { try StoreTables.read($0) }
        } catch let error where Self.isDamage(error) {
            try replaceFile()
            throw Self.damage(error)
        } catch {
            throw Self.translated(error, path)
        }
    }

    /// See `EventStore`.
    ///
    /// **Throws:** `StoreFailure.full` with what was needed and is free, or `failed`.
    package mutating func write(_ records: [StoredRecord]) throws(StoreFailure) {
        guard !records.isEmpty else { return }
        do {
            try queue.write { database in
                for record in records { try StoreTables.apply(record, database) }
            }
        } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL {
            throw .full(neededBytes: StoreTables.size(of: records), freeBytes: freeBytes())
        } catch {
            throw Self.translated(error, path)
        }
    }

    private mutating func replaceFile() throws(StoreFailure) {
        do {
            try queue.close()
            setAside.append(try StoreFile.setAside(path, as: "damaged"))
            try StoreFile.makePrivate(path)
            queue = try StoreFile.open(path, fileBytes: fileBytes, owner: owner)
        } catch {
            throw Self.translated(error, path)
        }
    }

    /// What the file may still grow by: the smaller of its own limit and the disk's.
    private func freeBytes() -> Int {
        let within = try? queue.read { database in
            let most = try Int.fetchOne(database, sql: "PRAGMA max_page_count") ?? 0
            let used = try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0
            let unused = try Int.fetchOne(database, sql: "PRAGMA freelist_count") ?? 0
            return max(0, most - used + unused) * StoreLimits.pageBytes
        }
        let attributes = try? FileManager.default.attributesOfFileSystem(forPath: path)
        let onDisk = (attributes?[.systemFreeSize] as? NSNumber)?.intValue
        return min(within ?? .max, onDisk ?? within ?? 0)
    }

    // MARK: Errors

    private static func isDamage(_ error: any Error) -> Bool {
        switch error {
        case is StoreDamage: true
        // The statements are right, so one that SQLite does not understand meets tables that are not ours any more.
        case let error as DatabaseError: [.SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_ERROR].contains(error.resultCode)
        default: false
        }
    }

    private static func damage(_ error: any Error) -> StoreFailure {
        if let damage = error as? StoreDamage { return .damaged(field: damage.field, reason: damage.reason) }
        return .damaged(field: "the event store's file", reason: reason(error))
    }

    private static func translated(_ error: any Error, _ path: String) -> StoreFailure {
        switch error {
        case let error as StoreFailure: return error
        case let error as DatabaseError where error.resultCode == .SQLITE_FULL:
            return .full(neededBytes: StoreLimits.pageBytes, freeBytes: 0)
        case let error as DatabaseError where error.resultCode == .SQLITE_BUSY:
            return .failed(reason: "\(path) is used by another process; stop the other node of this folder")
        case is DatabaseError, is StoreDamage: return .failed(reason: reason(error))
        default:
            let isFull = (error as NSError).code == CocoaError.Code.fileWriteOutOfSpace.rawValue
            if isFull { return .full(neededBytes: StoreLimits.pageBytes, freeBytes: 0) }
            return .failed(reason: "\(path): \(error.localizedDescription)")
        }
    }

    private static func reason(_ error: any Error) -> String {
        guard let error = error as? DatabaseError else { return "\(error)" }
        return "SQLite \(error.extendedResultCode.rawValue): \(error.message ?? "no message")"
    }
}

/// What a row or the file says against itself.
struct StoreDamage: Error {
    let field: String
    let reason: String
}
