package import Vocabulary

/// Something that has to be on disk before anything that follows from it is said to anybody.
package enum StoredRecord: Hashable, Sendable {
    /// Replaces the term and the vote.
    case election(term: UInt64, vote: NodeID?)
    /// Removes the entries from this index on.
    case truncate(from: UInt64)
    /// Adds entries behind the last one.
    case append([LogEntry])
    /// Replaces the snapshot by the state up to `state.index`, whose last entry has `term`.
    case snapshot(ClusterState, term: UInt64)
    /// Removes the entries up to this index, whose entry has `term`; the snapshot covers them.
    case compact(through: UInt64, term: UInt64)
    /// Removes every entry: the snapshot came from the leader and contradicts them.
    case clearEntries(base: UInt64, term: UInt64)
    /// Replaces the fence of a replica.
    case fence(ReplicaKey, Epoch)
    /// Removes the fence of a replica.
    case unfence(ReplicaKey)
    /// Replaces what is kept of a time without a majority; nil removes it.
    case branch(StoredBranch?)
    /// Replaces whether the memory of an earlier life is lost, and what was voted then with it.
    case forgotten(Bool)
    /// Replaces everything by this: the disk takes writes again after it had failed.
    case rebase(StoredCluster)
}

/// What is kept of a time without a majority.
package struct StoredBranch: Hashable, Sendable, Recordable {
    /// Term of its leader.
    package var term: UInt64
    /// Who led.
    package var leader: NodeID
    /// Counts the changes within the term.
    package var version: UInt64
    /// The state it came to; nil once only `unmerged` is left.
    package var state: ClusterState?
    /// What still has to be merged.
    package var unmerged: BranchContent

    init(term: UInt64, leader: NodeID, version: UInt64, state: ClusterState?, unmerged: BranchContent) {
        self.term = term
        self.leader = leader
        self.version = version
        self.state = state
        self.unmerged = unmerged
    }

    func write(to writer: inout RecordWriter) {
        writer.put(term)
        writer.put(leader)
        writer.put(version)
        writer.put(optional: state)
        writer.put(unmerged)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        term = try reader.counter("branch.term")
        leader = try reader.record("branch.leader")
        version = try reader.counter("branch.version")
        state = try reader.optionalRecord("branch.state")
        unmerged = try reader.record("branch.unmerged")
    }

    /// The branch as bytes, for the disk.
    package var encodedBytes: [UInt8] { encoded }

    /// Reads a branch from its bytes.
    ///
    /// **Throws:** when they are cut off or wrong.
    package init(bytes: [UInt8]) throws(CodecError) { try self.init(encoded: bytes) }
}

/// What a node finds on its disk when it starts.
package struct StoredCluster: Hashable, Sendable {
    /// Newest term seen.
    package var term: UInt64 = 0
    /// Whom the node voted for in that term.
    package var vote: NodeID?
    /// Newest snapshot.
    package var snapshot = ClusterState()
    /// Term of the last entry in the snapshot.
    package var snapshotTerm: UInt64 = 0
    /// The entry before the first of `entries`: its index.
    package var baseIndex: UInt64 = 0
    /// The entry before the first of `entries`: its term.
    package var baseTerm: UInt64 = 0
    /// The entries, ascending without gaps.
    package var entries: [LogEntry] = []
    /// Highest epoch each replica's stages on this node accepted.
    package var fences = OrderedTable<ReplicaKey, Epoch>()
    /// What is kept of a time without a majority.
    package var branch: StoredBranch?
    /// Whether the memory of an earlier life is lost, and the log has not taken the node off the voters since.
    package var hasForgotten = false

    /// An empty disk.
    package init() {}

    /// What the disk holds after one more record. Every store behaves like this function.
    package mutating func apply(_ record: StoredRecord) {
        switch record {
        case .election(let term, let vote):
            self.term = term
            self.vote = vote
        case .truncate(let index): entries.removeAll { $0.index >= index }
        case .append(let new): entries.append(contentsOf: new)
        case .snapshot(let state, let term):
            snapshot = state
            snapshotTerm = term
        case .compact(let index, let term):
            entries.removeAll { $0.index <= index }
            (baseIndex, baseTerm) = (index, term)
        case .clearEntries(let base, let term):
            entries = []
            (baseIndex, baseTerm) = (base, term)
        case .fence(let replica, let epoch): fences[replica] = epoch
        case .unfence(let replica): fences[replica] = nil
        case .branch(let value): branch = value
        case .forgotten(let value): hasForgotten = value
        case .rebase(let stored): self = stored
        }
    }
}

/// Why the disk took nothing.
package enum StoreFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// There is no room.
    case full(neededBytes: Int, freeBytes: Int)
    /// It failed in another way.
    case failed(reason: String)
    /// What is on it contradicts itself; the damaged file was set aside.
    case damaged(field: String, reason: String)

    /// One sentence with the numbers and the next step.
    package var description: String {
        switch self {
        case .full(let needed, let free):
            "The disk is full: \(needed) bytes are needed, \(free) are free; free some space."
        case .failed(let reason): "The disk does not take writes (\(reason)); check it and its mount."
        case .damaged(let field, let reason):
            "\(field) on the disk is damaged (\(reason)); it was set aside, and the cluster will send it again."
        }
    }
}

/// The durable memory of a control plane: an SQLite file in production, a faulty disk in the simulator.
///
/// A store carries records out in their order, as `StoredCluster.apply` says. `write` returns when all of them would
/// survive a loss of power. When it throws, any prefix of them may survive, the last one never in part.
package protocol EventStore {
    /// Reads everything back.
    ///
    /// **Throws:** when nothing can be read.
    mutating func load() throws(StoreFailure) -> StoredCluster

    /// Writes the records, in order, and waits until they last.
    ///
    /// **Throws:** when the disk is full or fails.
    mutating func write(_ records: [StoredRecord]) throws(StoreFailure)
}
