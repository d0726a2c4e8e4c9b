import CChecksum
import Cluster
import Foundation
import GRDB
import Vocabulary

/// The tables, and what each record does to them.
///
/// Entries keep the order they were appended in; unsigned numbers are stored so that their order is SQLite's order.
/// The parts exist from the start, so that a row that is gone is damage and not an empty memory.
enum StoreTables {
    private enum Part: String, CaseIterable {
        case election
        case base
        case snapshot
        case branch
        case forgotten
    }

    static func make(_ database: Database) throws {
        try database.execute(
            sql: """
                CREATE TABLE entry (
                    position INTEGER PRIMARY KEY, number INTEGER NOT NULL, body BLOB NOT NULL, sum INTEGER NOT NULL
                ) STRICT;
                CREATE INDEX entry_number ON entry (number);
                CREATE TABLE fence (
                    deployment TEXT NOT NULL, replica INTEGER NOT NULL, term INTEGER NOT NULL,
                    number INTEGER NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (deployment, replica)
                ) STRICT, WITHOUT ROWID;
                CREATE TABLE part (name TEXT PRIMARY KEY, body BLOB NOT NULL, sum INTEGER NOT NULL) STRICT;
                """)
        try clear(database)
    }

    private static func clear(_ database: Database) throws {
        try database.execute(sql: "DELETE FROM entry; DELETE FROM fence; DELETE FROM part")
        let empty = StoredCluster()
        try put(.election, election(empty.term, empty.vote), database)
        try put(.base, numbers([empty.baseIndex, empty.baseTerm]), database)
        try put(.snapshot, numbers([empty.snapshotTerm]) + empty.snapshot.encodedBytes, database)
        try put(.branch, [], database)
        try put(.forgotten, [0], database)
    }

    /// Adds what files of version 1 did not have.
    static func addForgotten(_ database: Database) throws { try put(.forgotten, [0], database) }

    // MARK: Writing

    static func apply(_ record: StoredRecord, _ database: Database) throws {
        switch record {
        case .election(let term, let vote): try put(.election, election(term, vote), database)
        case .truncate(let index):
            try run("DELETE FROM entry WHERE number >= ?", [ordered(index)], database)
        case .append(let entries): try append(entries, database)
        case .snapshot(let state, let term): try put(.snapshot, numbers([term]) + state.encodedBytes, database)
        case .compact(let index, let term):
            try run("DELETE FROM entry WHERE number <= ?", [ordered(index)], database)
            try put(.base, numbers([index, term]), database)
        case .clearEntries(let base, let term):
            try run("DELETE FROM entry", [], database)
            try put(.base, numbers([base, term]), database)
        case .fence(let replica, let epoch): try fence(replica, epoch, database)
        case .unfence(let replica):
            try run(
                "DELETE FROM fence WHERE deployment = ? AND replica = ?", [replica.deployment, replica.index], database)
        case .branch(let branch): try put(.branch, branch.map { [1] + $0.encodedBytes } ?? [], database)
        case .forgotten(let hasForgotten): try put(.forgotten, [hasForgotten ? 1 : 0], database)
        case .rebase(let stored): try rebase(stored, database)
        }
    }

    private static func rebase(_ stored: StoredCluster, _ database: Database) throws {
        try clear(database)
        try put(.election, election(stored.term, stored.vote), database)
        try put(.base, numbers([stored.baseIndex, stored.baseTerm]), database)
        try put(.snapshot, numbers([stored.snapshotTerm]) + stored.snapshot.encodedBytes, database)
        try put(.branch, stored.branch.map { [1] + $0.encodedBytes } ?? [], database)
        try put(.forgotten, [stored.hasForgotten ? 1 : 0], database)
        try append(stored.entries, database)
        for row in stored.fences.elements { try fence(row.key, row.value, database) }
    }

    private static func append(_ entries: [LogEntry], _ database: Database) throws {
        guard !entries.isEmpty else { return }
        let statement = try database.cachedStatement(
            sql: "INSERT INTO entry (number, body, sum) VALUES (?, ?, ?)")
        for entry in entries {
            let body = entry.encodedBytes
            try statement.execute(arguments: [ordered(entry.index), Data(body), sum(body)])
        }
    }

    private static func fence(_ replica: ReplicaKey, _ epoch: Epoch, _ database: Database) throws {
        try run(
            "INSERT OR REPLACE INTO fence (deployment, replica, term, number, sum) VALUES (?, ?, ?, ?, ?)",
            [
                replica.deployment, replica.index, ordered(epoch.term), ordered(epoch.number),
                sum(fenceBytes(replica, epoch)),
            ], database)
    }

    private static func put(_ part: Part, _ body: [UInt8], _ database: Database) throws {
        try run(
            "INSERT OR REPLACE INTO part (name, body, sum) VALUES (?, ?, ?)",
            [part.rawValue, Data(body), sum(Array(part.rawValue.utf8) + body)], database)
    }

    private static func run(_ sql: String, _ arguments: StatementArguments, _ database: Database) throws {
        try database.cachedStatement(sql: sql).execute(arguments: arguments)
    }

    /// Roughly what the records take on disk. **Units:** bytes.
    static func size(of records: [StoredRecord]) -> Int {
        records.reduce(0) { total, record in
            switch record {
            case .append(let entries): total + entries.reduce(0) { $0 + $1.encodedBytes.count + 64 }
            case .snapshot(let state, _): total + state.encodedBytes.count
            case .branch(let branch): total + (branch?.encodedBytes.count ?? 0)
            case .rebase(let stored):
                total + stored.snapshot.encodedBytes.count
                    + stored.entries.reduce(0) { $0 + $1.encodedBytes.count + 64 }
            case .election, .truncate, .compact, .clearEntries, .fence, .unfence, .forgotten:
                total + StoreLimits.pageBytes
            }
        }
    }

    // MARK: Reading

    static func read(_ database: Database) throws -> StoredCluster {
        var stored = StoredCluster()
        try readParts(database, into: &stored)
        let entries = try Row.fetchCursor(database, sql: "SELECT number, body, sum FROM entry ORDER BY position")
        while let row = try entries.next() {
            let body = try bytes(row, 1, "an entry", limit: StoreLimits.entryBytes)
            guard sum(body) == integer(row, 2) else { throw StoreDamage(field: "an entry", reason: "its sum differs") }
            let entry = try decoded("an entry") { () throws(CodecError) in try LogEntry(bytes: body) }
            guard ordered(entry.index) == integer(row, 0) else {
                throw StoreDamage(field: "entry \(entry.index)", reason: "it is filed under another index")
            }
            stored.entries.append(entry)
        }
        let fences = try Row.fetchCursor(
            database, sql: "SELECT deployment, replica, term, number, sum FROM fence ORDER BY deployment, replica")
        while let row = try fences.next() {
            guard let name = String.fromDatabaseValue(row[0]), let replica = integer(row, 1),
                let term = integer(row, 2), let number = integer(row, 3)
            else { throw StoreDamage(field: "a fence", reason: "a field is missing") }
            let key = ReplicaKey(deployment: name, index: Int(replica))
            let epoch = Epoch(term: unordered(term), number: unordered(number))
            guard sum(fenceBytes(key, epoch)) == integer(row, 4) else {
                throw StoreDamage(field: "the fence of \(key)", reason: "its sum differs")
            }
            stored.fences[key] = epoch
        }
        return stored
    }

    private static func readParts(_ database: Database, into stored: inout StoredCluster) throws {
        var parts: [String: [UInt8]] = [:]
        let rows = try Row.fetchCursor(database, sql: "SELECT name, body, sum FROM part")
        while let row = try rows.next() {
            guard let name = String.fromDatabaseValue(row[0]), Part(rawValue: name) != nil else {
                throw StoreDamage(field: "a part", reason: "its name is unknown")
            }
            let body = try bytes(row, 1, "the \(name)", limit: StoreLimits.partBytes)
            guard sum(Array(name.utf8) + body) == integer(row, 2) else {
                throw StoreDamage(field: "the \(name)", reason: "its sum differs")
            }
            parts[name] = body
        }
        func part(_ part: Part, atLeast count: Int) throws -> [UInt8] {
            guard let body = parts[part.rawValue], body.count >= count else {
                throw StoreDamage(field: "the \(part.rawValue)", reason: "it is missing")
            }
            return body
        }
        let election = try part(.election, atLeast: 17)
        stored.term = number(election, 0)
        stored.vote = election[16] == 1 ? NodeID(number(election, 8)) : nil
        let base = try part(.base, atLeast: 16)
        (stored.baseIndex, stored.baseTerm) = (number(base, 0), number(base, 8))
        let snapshot = try part(.snapshot, atLeast: 8)
        stored.snapshotTerm = number(snapshot, 0)
        stored.snapshot = try decoded("the snapshot") { () throws(CodecError) in
            try ClusterState(bytes: Array(snapshot.dropFirst(8)))
        }
        stored.hasForgotten = try part(.forgotten, atLeast: 1)[0] == 1
        let branch = try part(.branch, atLeast: 0)
        guard !branch.isEmpty else { return }
        stored.branch = try decoded("the branch") { () throws(CodecError) in
            try StoredBranch(bytes: Array(branch.dropFirst()))
        }
    }

    private static func decoded<Value>(_ field: String, _ body: () throws(CodecError) -> Value) throws -> Value {
        do {
            return try body()
        } catch {
            throw StoreDamage(field: field, reason: "\(error)")
        }
    }

    private static func bytes(_ row: Row, _ column: Int, _ field: String, limit: Int) throws -> [UInt8] {
        guard let data = Data.fromDatabaseValue(row[column]), data.count <= limit else {
            throw StoreDamage(field: field, reason: "its bytes are missing or more than \(limit)")
        }
        return Array(data)
    }

    private static func integer(_ row: Row, _ column: Int) -> Int64? { Int64.fromDatabaseValue(row[column]) }

    // MARK: Encoding

    /// Unsigned numbers in the order of signed ones.
    private static func ordered(_ value: UInt64) -> Int64 { Int64(bitPattern: value ^ (1 << 63)) }

    private static func unordered(_ value: Int64) -> UInt64 { UInt64(bitPattern: value) ^ (1 << 63) }

    private static func numbers(_ values: [UInt64]) -> [UInt8] {
        values.flatMap { value in (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) } }
    }

    private static func number(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << (8 * UInt64($1)) }
    }

    private static func election(_ term: UInt64, _ vote: NodeID?) -> [UInt8] {
        numbers([term, vote?.value ?? 0]) + [vote == nil ? 0 : 1]
    }

    private static func fenceBytes(_ replica: ReplicaKey, _ epoch: Epoch) -> [UInt8] {
        numbers([UInt64(replica.index), epoch.term, epoch.number]) + Array(replica.deployment.utf8)
    }

    private static func sum(_ bytes: [UInt8]) -> Int64 {
        bytes.withUnsafeBytes { Int64(skein_crc32c(0, $0.baseAddress, $0.count)) }
    }
}
