import Cluster
import Vocabulary

/// A disk in memory with the faults of a real one: it is full for a while, it loses what was being written when the
/// power went, of a batch it may keep any prefix, and it may lose everything and say so.
struct SimulatedDisk: EventStore {
    private(set) var stored: StoredCluster
    /// Every write fails while it is full.
    var isFull = false
    /// Writes since the start, for reports.
    private(set) var writes = 0
    /// What the last write replaced, so that a crash can undo a part of it.
    private var before: StoredCluster?
    private var lastBatch: [StoredRecord] = []

    init(_ stored: StoredCluster = StoredCluster()) { self.stored = stored }

    mutating func load() throws(StoreFailure) -> StoredCluster { stored }

    mutating func write(_ records: [StoredRecord]) throws(StoreFailure) {
        guard !isFull else { throw .full(neededBytes: 4096, freeBytes: 0) }
        before = stored
        lastBatch = records
        writes += 1
        for record in records { stored.apply(record) }
    }

    /// Everything on it is gone, and whoever opens it is told.
    mutating func lose() {
        (stored, before, lastBatch) = (StoredCluster(), nil, [])
    }

    /// The power went while the last batch was being written: a prefix of it lasts. Only legal before anything of the
    /// batch's effects was sent.
    mutating func tear(keeping count: Int) {
        guard let before else { return }
        stored = before
        for record in lastBatch.prefix(count) { stored.apply(record) }
    }
}
