import Cluster
import Vocabulary

/// A disk in memory with the faults of a real one: it is full for a while, it loses what was being written when the
/// power went, of a batch it may keep any prefix, and it may lose everything and say so.
struct SimulatedDisk: EventStore {
    /// What it holds without the last write, which a crash can undo in part.
    private var settled: StoredCluster
    private var lastBatch: [StoredRecord] = []
    /// Every write fails while it is full.
    var isFull = false
    /// Writes since the start, for reports.
    private(set) var writes = 0

    init(_ stored: StoredCluster = StoredCluster()) { settled = stored }

    /// What it holds.
    var stored: StoredCluster {
        var stored = settled
        for record in lastBatch { stored.apply(record) }
        return stored
    }

    mutating func load() throws(StoreFailure) -> StoredCluster { stored }

    mutating func write(_ records: [StoredRecord]) throws(StoreFailure) {
        guard !isFull else { throw .full(neededBytes: 4096, freeBytes: 0) }
        for record in lastBatch { settled.apply(record) }
        lastBatch = records
        writes += 1
    }

    /// Everything on it is gone, and whoever opens it is told.
    mutating func lose() {
        (settled, lastBatch) = (StoredCluster(), [])
    }

    /// The power went while the last batch was being written: a prefix of it lasts. Only legal before anything of the
    /// batch's effects was sent.
    mutating func tear(keeping count: Int) {
        lastBatch = Array(lastBatch.prefix(count))
    }
}
