package import Cluster
import FoundationEssentials
import NIOSSL
import Vocabulary

/// Why an etcd cannot be asked at all.
package enum EtcdError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file with the certificates to trust cannot be read.
    case authority(path: String, reason: String)

    /// One sentence with the next step.
    package var description: String {
        switch self {
        case .authority(let path, let reason):
            "The certificates in \(path) cannot be read (\(reason)); name a PEM file with --coordinator-ca."
        }
    }
}

/// A coordinator that is a real etcd, version 3.4 or newer, over its JSON gateway.
///
/// The leader's key hangs on a lease, and the revision that made it is the tenure: every change is one transaction that
/// compares it. Entries lie under the index of the last of those that came together; a snapshot lies in pieces that
/// count when the key `snapshot` names them.
///
/// **Isolation:** an actor; calls overlap while they wait for the network.
package actor EtcdCoordinator: Coordinating {
    private let keys: EtcdKeys
    private let holder: EtcdKeys.Holder
    private let leaseSeconds: Int64
    private let client: EtcdClient
    /// The lease the leader's key hangs on.
    private var lease: (id: Int64, tenure: UInt64)?

    /// `boot` is the number of this node's life; `authority` a PEM file to trust instead of the system's.
    ///
    /// **Throws:** `EtcdError`.
    package init(
        _ address: EtcdAddress, node: NodeID, boot: UInt64, authority: String? = nil, lease: Duration = .seconds(3)
    ) throws(EtcdError) {
        keys = EtcdKeys(prefix: address.prefix)
        holder = EtcdKeys.Holder(node: node, boot: boot)
        leaseSeconds = max(2, lease.components.seconds)
        client = EtcdClient(address, authority: try authority.map { path throws(EtcdError) in try Self.read(path) })
    }

    /// Whether a file can be trusted.
    ///
    /// **Throws:** `EtcdError`.
    package static func check(authority path: String) throws(EtcdError) { _ = try read(path) }

    private static func read(_ path: String) throws(EtcdError) -> [NIOSSLCertificate] {
        do {
            return try NIOSSLCertificate.fromPEMFile(path)
        } catch {
            throw .authority(path: path, reason: "\(error)")
        }
    }

    /// See `Coordinating`.
    package func answer(_ request: CoordinatorRequest) async -> CoordinatorAnswer {
        do throws(EtcdFailure) {
            return switch request {
            case .inspect: try await inspect()
            case .campaign: try await campaign()
            case .renew(let tenure): try await renew(tenure)
            case .read(let index): try await read(after: index)
            case .found(let tenure, let charter, let snapshot): try await found(tenure, charter, snapshot)
            case .raise(let tenure, let charter): try await raise(tenure, charter)
            case .append(let tenure, let behind, let entries): try await append(tenure, behind, entries)
            case .compact(let tenure, let replacing, let snapshot): try await compact(tenure, replacing, snapshot)
            case .resign(let tenure): try await resign(tenure)
            }
        } catch {
            return switch error {
            case .unreachable(let reason): .unreachable(reason)
            case .refused(_, let reason): .refused(reason)
            }
        }
    }

    /// See `Coordinating`.
    package func close() async {
        // Whoever waits for its end leads at once, where it would have to wait for the lease.
        if let lease { await client.sayLast("lease/revoke", EtcdLease(ID: EtcdNumber(lease.id))) }
        lease = nil
        await client.close()
    }

    // MARK: Leading

    private func inspect() async throws(EtcdFailure) -> CoordinatorAnswer {
        var transaction = EtcdTransaction()
        transaction.read(keys.cluster)
        transaction.read(keys.leader)
        let answer = try await commit(transaction)
        let charter = try answer.pair(0).map { pair throws(EtcdFailure) in try Self.charter(pair) }
        let holder = answer.pair(1).flatMap { EtcdKeys.holder($0.text) }
        return .inspected(charter, holder: holder?.node)
    }

    private func campaign() async throws(EtcdFailure) -> CoordinatorAnswer {
        var look = EtcdTransaction()
        look.read(keys.leader)
        if let pair = try await commit(look).pair(0) {
            // What an earlier life of this node held is of no use to anybody; a later life's is not ours to take.
            guard let known = EtcdKeys.holder(pair.text), known.node == holder.node, known.boot <= holder.boot else {
                return .held
            }
            if let id = pair.lease?.value { try await revoke(id) }
        }
        if let old = lease {
            lease = nil
            try await revoke(old.id)
        }
        let granted = try await client.call(
            "lease/grant", EtcdGrant(TTL: EtcdNumber(leaseSeconds)), as: EtcdLeaseAnswer.self)
        guard let id = granted.ID?.value else { throw .refused(code: 2, "it grants no lease; check its version.") }
        var transaction = EtcdTransaction()
        transaction.demand(keys.leader, createdAt: 0)
        transaction.put(keys.leader, EtcdKeys.text(holder).utf8, lease: id)
        transaction.elseRead(keys.leader)
        let answer: EtcdTransactionAnswer
        do throws(EtcdFailure) {
            answer = try await commit(transaction)
        } catch {
            try? await revoke(id)
            throw error
        }
        var tenure = answer.succeeded == true ? UInt64(clamping: answer.header?.revision?.value ?? 0) : 0
        if answer.succeeded != true, let pair = answer.pair(0), pair.lease?.value == id {
            // The first endpoint did it, and its answer was lost.
            tenure = pair.created
        }
        guard tenure > 0 else {
            try await revoke(id)
            return .held
        }
        lease = (id, tenure)
        return .won(tenure: tenure)
    }

    private func renew(_ tenure: UInt64) async throws(EtcdFailure) -> CoordinatorAnswer {
        guard let lease, lease.tenure == tenure else { return .fenced }
        let answer = try await client.call(
            "lease/keepalive", EtcdLease(ID: EtcdNumber(lease.id)), as: EtcdKeepAliveAnswer.self)
        if let refusal = answer.error { throw .unreachable(refusal.message ?? refusal.error ?? "no renewal") }
        guard let seconds = answer.result?.TTL?.value, seconds >= leaseSeconds else { return .fenced }
        // The key may have been deleted by somebody, and the lease still be there.
        var look = EtcdTransaction()
        look.read(keys.leader)
        return try await commit(look).pair(0)?.created == tenure ? .renewed : .fenced
    }

    private func resign(_ tenure: UInt64) async throws(EtcdFailure) -> CoordinatorAnswer {
        guard let lease, lease.tenure == tenure else { return .done }
        self.lease = nil
        try await revoke(lease.id)
        return .done
    }

    private func revoke(_ id: Int64) async throws(EtcdFailure) {
        do throws(EtcdFailure) {
            _ = try await client.call("lease/revoke", EtcdLease(ID: EtcdNumber(id)), as: EtcdNothing.self)
        } catch {
            // Code 5: there is no such lease any more.
            guard case .refused(5, _) = error else { throw error }
        }
    }

    // MARK: The log

    private func append(
        _ tenure: UInt64, _ behind: LogPlace, _ entries: [LogEntry]
    ) async throws(EtcdFailure) -> CoordinatorAnswer {
        guard let last = entries.last else { return .appended(behind) }
        let place = LogPlace(index: last.index, term: last.term)
        var transaction = demanding(tenure)
        transaction.demand(keys.head, value: EtcdKeys.text(behind))
        transaction.put(keys.log(upTo: last.index), LogEntry.bytes(of: entries))
        transaction.put(keys.head, EtcdKeys.text(place).utf8)
        transaction.elseRead(keys.leader)
        transaction.elseRead(keys.head)
        let answer = try await commit(transaction)
        if answer.succeeded == true { return .appended(place) }
        guard answer.pair(0)?.created == tenure else { return .fenced }
        return .appended(try Self.place(answer.pair(1)))
    }

    private func found(
        _ tenure: UInt64, _ charter: CoordinatorCharter, _ snapshot: CoordinatedSnapshot
    ) async throws(EtcdFailure) -> CoordinatorAnswer {
        guard let named = try await write(snapshot, tenure) else { return .fenced }
        var transaction = demanding(tenure)
        transaction.demand(keys.cluster, createdAt: 0)
        transaction.put(keys.cluster, EtcdKeys.text(charter).utf8)
        transaction.put(keys.snapshot, EtcdKeys.text(named).utf8)
        transaction.put(keys.head, EtcdKeys.text(snapshot.place).utf8)
        transaction.delete(from: keys.log(upTo: 0), to: keys.logEnd)
        transaction.elseRead(keys.leader)
        transaction.elseRead(keys.cluster)
        let answer = try await commit(transaction)
        if answer.succeeded == true { return .done }
        // The first endpoint did it, and its answer was lost.
        let isOwn = answer.pair(0)?.created == tenure && answer.pair(1)?.text == EtcdKeys.text(charter)
        return isOwn ? .done : .fenced
    }

    private func raise(_ tenure: UInt64, _ charter: CoordinatorCharter) async throws(EtcdFailure) -> CoordinatorAnswer {
        var transaction = demanding(tenure)
        transaction.put(keys.cluster, EtcdKeys.text(charter).utf8)
        return try await commit(transaction).succeeded == true ? .done : .fenced
    }

    private func compact(
        _ tenure: UInt64, _ replacing: LogPlace, _ snapshot: CoordinatedSnapshot
    ) async throws(EtcdFailure) -> CoordinatorAnswer {
        // First, so that a compaction that comes late leaves no pieces that nobody would name.
        var look = demanding(tenure)
        look.read(keys.snapshot)
        let seen = try await commit(look)
        guard seen.succeeded == true else { return .fenced }
        guard let known = seen.pair(0), let old = EtcdKeys.snapshot(known.text) else { throw Self.damaged }
        guard old.place == replacing else { return .compacted(old.place) }
        guard let named = try await write(snapshot, tenure) else { return .fenced }
        var transaction = demanding(tenure)
        // A compaction that comes late must not bring an older snapshot back.
        transaction.demand(keys.snapshot, value: known.text)
        transaction.put(keys.snapshot, EtcdKeys.text(named).utf8)
        transaction.delete(from: keys.log(upTo: 0), to: keys.log(upTo: snapshot.place.index + 1))
        transaction.delete(from: keys.piecesBegin, to: keys.pieces(of: snapshot.place))
        transaction.delete(from: keys.pieces(of: snapshot.place) + "~", to: keys.piecesEnd)
        transaction.elseRead(keys.leader)
        transaction.elseRead(keys.snapshot)
        let answer = try await commit(transaction)
        if answer.succeeded == true { return .compacted(snapshot.place) }
        guard answer.pair(0)?.created == tenure else { return .fenced }
        guard let now = answer.pair(1).flatMap({ EtcdKeys.snapshot($0.text) }) else { throw Self.damaged }
        return .compacted(now.place)
    }

    /// Writes the pieces of a snapshot, which count for nothing yet; nil when the tenure is over.
    private func write(
        _ snapshot: CoordinatedSnapshot, _ tenure: UInt64
    ) async throws(EtcdFailure) -> EtcdKeys.Snapshot? {
        let named = EtcdKeys.Snapshot(place: snapshot.place, bytes: snapshot.bytes.count)
        guard named.pieces <= EtcdLimits.pieces else {
            throw .refused(
                code: 8, "the snapshot has \(snapshot.bytes.count) bytes, more than \(EtcdLimits.pieces) pieces hold.")
        }
        for number in 0..<named.pieces {
            let start = number * EtcdLimits.pieceBytes
            let end = min(start + EtcdLimits.pieceBytes, snapshot.bytes.count)
            var transaction = demanding(tenure)
            transaction.put(keys.piece(number, of: snapshot.place), snapshot.bytes[start..<end])
            guard try await commit(transaction).succeeded == true else { return nil }
        }
        return named
    }

    private func demanding(_ tenure: UInt64) -> EtcdTransaction {
        var transaction = EtcdTransaction()
        transaction.demand(keys.leader, createdAt: tenure)
        return transaction
    }

    private func commit(_ transaction: EtcdTransaction) async throws(EtcdFailure) -> EtcdTransactionAnswer {
        try await client.call("kv/txn", transaction)
    }

    // MARK: Reading

    private func read(after index: UInt64) async throws(EtcdFailure) -> CoordinatorAnswer {
        var look = EtcdTransaction()
        look.read(keys.cluster)
        look.read(keys.head)
        look.read(keys.snapshot)
        let answer = try await commit(look)
        var reading = CoordinatorReading()
        guard let cluster = answer.pair(0) else { return .read(reading) }
        reading.charter = try Self.charter(cluster)
        reading.head = try Self.place(answer.pair(1))
        guard let named = answer.pair(2).flatMap({ EtcdKeys.snapshot($0.text) }) else { throw Self.damaged }
        reading.snapshotPlace = named.place
        if named.place.index > index { reading.snapshot = try await pieces(of: named) }
        // What leads from here to the end; the entry at the index itself shows whether it is the same log.
        let first = max(index, named.place.index)
        reading.entries = try await entries(from: max(index, 1), upTo: reading.head.index)
        if reading.snapshot != nil { reading.entries.removeAll { $0.index <= named.place.index } }
        let missing = reading.head.index - min(first, reading.head.index)
        let tail = reading.entries.filter { $0.index > first }
        guard UInt64(tail.count) == missing, tail.last.map({ $0.term == reading.head.term }) ?? true else {
            throw .unreachable("its log changed while it was read")
        }
        return .read(reading)
    }

    private func pieces(of named: EtcdKeys.Snapshot) async throws(EtcdFailure) -> CoordinatedSnapshot {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(named.bytes)
        for number in 0..<named.pieces {
            let key = keys.piece(number, of: named.place)
            let range = EtcdTransaction.Range(key: Data(key.utf8))
            let answer = try await client.call("kv/range", range, as: EtcdRange.self)
            guard let pair = answer.kvs?.first else { throw .unreachable("its snapshot changed while it was read") }
            bytes += pair.bytes
        }
        guard bytes.count == named.bytes else { throw Self.damaged }
        return CoordinatedSnapshot(place: named.place, bytes: bytes)
    }

    /// Entries from an index on, page by page.
    private func entries(from index: UInt64, upTo end: UInt64) async throws(EtcdFailure) -> [LogEntry] {
        var entries: [LogEntry] = []
        var next = index
        while next <= end {
            let range = EtcdTransaction.Range(
                key: Data(keys.log(upTo: next).utf8), range_end: Data(keys.logEnd.utf8),
                limit: EtcdNumber(Int64(EtcdLimits.keysPerPage)))
            let page = try await client.call("kv/range", range, as: EtcdRange.self)
            for pair in page.kvs ?? [] {
                guard let batch = try? LogEntry.list(pair.bytes) else { throw Self.damaged }
                entries += batch.filter { $0.index >= index && $0.index <= end }
            }
            guard entries.count <= EtcdLimits.entries else {
                throw .refused(code: 8, "its log has more than \(EtcdLimits.entries) entries behind its snapshot.")
            }
            guard page.more == true, let last = entries.last, last.index >= next else { break }
            next = last.index + 1
        }
        return entries
    }

    private static let damaged = EtcdFailure.refused(
        code: 15, "its keys cannot be read; restore it from a backup, or name another prefix.")

    private static func charter(_ pair: EtcdPair) throws(EtcdFailure) -> CoordinatorCharter {
        guard let charter = EtcdKeys.charter(pair.text) else { throw damaged }
        return charter
    }

    private static func place(_ pair: EtcdPair?) throws(EtcdFailure) -> LogPlace {
        guard let place = pair.flatMap({ EtcdKeys.place($0.text) }) else { throw damaged }
        return place
    }
}
