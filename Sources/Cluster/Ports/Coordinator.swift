/// A place in the log: an index and the term of the entry there.
package struct LogPlace: Hashable, Sendable {
    /// The entry's index; 0 is before the first one.
    package var index: UInt64
    /// Its term.
    package var term: UInt64

    /// Makes a place.
    package init(index: UInt64 = 0, term: UInt64 = 0) {
        self.index = index
        self.term = term
    }
}

/// What a coordinator knows of the cluster whose log it holds.
package struct CoordinatorCharter: Hashable, Sendable {
    /// The cluster.
    package var cluster: UInt64
    /// What is added to a tenure to make a term; only grows. So terms go on where they were before the coordinator.
    package var termBase: UInt64

    /// Makes a charter.
    package init(cluster: UInt64, termBase: UInt64) {
        self.cluster = cluster
        self.termBase = termBase
    }
}

/// The state at a place of the log, as bytes.
package struct CoordinatedSnapshot: Hashable, Sendable {
    /// The last entry it holds.
    package var place: LogPlace
    /// What `ClusterState.encodedBytes` gave. **Units:** bytes, at most `Limits.snapshotBytes`.
    package var bytes: [UInt8]

    /// Makes a snapshot.
    package init(place: LogPlace, bytes: [UInt8]) {
        self.place = place
        self.bytes = bytes
    }
}

/// What a coordinator holds behind an index.
package struct CoordinatorReading: Hashable, Sendable {
    /// Nil while it holds no cluster.
    package var charter: CoordinatorCharter?
    /// The end of its log.
    package var head = LogPlace()
    /// Where its snapshot is.
    package var snapshotPlace = LogPlace()
    /// The snapshot, when entries behind the index are in it only.
    package var snapshot: CoordinatedSnapshot?
    /// The entries, ascending without gaps up to `head`; some may be at or before the index.
    package var entries: [LogEntry] = []

    /// Nothing at all.
    package init() {}
}

/// Something the brain wants of its coordinator. A tenure is one time of holding the leadership there; of two, the
/// later one is higher, and what names an ended one changes nothing.
package enum CoordinatorRequest: Hashable, Sendable {
    /// Which cluster is there, and who holds the leadership?
    case inspect
    /// Give this node the leadership, when nobody else has it; an earlier life of this node does not count.
    case campaign
    /// Let the tenure go on.
    case renew(tenure: UInt64)
    /// Everything behind this index.
    case read(after: UInt64)
    /// Begin: a cluster, its snapshot, and an empty log behind it. Only where no cluster is.
    case found(tenure: UInt64, CoordinatorCharter, CoordinatedSnapshot)
    /// Replace the charter.
    case raise(tenure: UInt64, CoordinatorCharter)
    /// Add entries, when the log ends at `behind`.
    case append(tenure: UInt64, behind: LogPlace, [LogEntry])
    /// Replace the snapshot, when it is at `replacing`, and forget the entries it holds.
    case compact(tenure: UInt64, replacing: LogPlace, CoordinatedSnapshot)
    /// End the tenure.
    case resign(tenure: UInt64)
}

/// A request with the number its answer names.
package struct CoordinatorQuestion: Hashable, Sendable {
    /// Distinguishes questions of one life of a node.
    package var number: UInt64
    /// What is wanted.
    package var request: CoordinatorRequest
}

/// What came of a request.
package enum CoordinatorAnswer: Hashable, Sendable {
    /// To `inspect`: the cluster there, and who leads; nil is none.
    case inspected(CoordinatorCharter?, holder: NodeID?)
    /// To `campaign`: this node leads from now on, for `Timings.coordinatorLease` from when it was asked.
    case won(tenure: UInt64)
    /// To `campaign`: somebody else has it.
    case held
    /// To `renew`: for as long again, from when it was asked.
    case renewed
    /// To `read`.
    case read(CoordinatorReading)
    /// To `found` and `raise`: done. To `resign`: over.
    case done
    /// To `append`: the tenure holds, and this is where the log ends now. So an answer that was lost is found out by
    /// asking again.
    case appended(LogPlace)
    /// To `compact`: the tenure holds, and this is where the snapshot is now.
    case compacted(LogPlace)
    /// The tenure is over; nothing was changed.
    case fenced
    /// Nobody answered; it may be done, or still be done later. **Shape:** one sentence.
    case unreachable(String)
    /// The coordinator does not do this. **Shape:** one sentence with the next step.
    case refused(String)
}

/// How a cluster is led whose log is held by a coordinator outside.
package struct CoordinationSettings: Sendable {
    /// What people call it; without secrets.
    package var name: String
    /// Whether this node's copy of the cluster is put into a coordinator that holds none.
    package var seeds = false
    /// Entries in the coordinator's log before a snapshot replaces them.
    package var entriesBeforeSnapshot = 2048

    /// Makes settings.
    package init(name: String) { self.name = name }
}

/// The way to a coordinator: an etcd in production, a store in memory in the simulator.
///
/// Requests that name a tenure change something only while it is the current one there, decided together with the
/// change. `answer` MUST come back within `Timings.coordinatorPatience`; several requests may be under way.
package protocol Coordinating: Sendable {
    /// Carries a request out.
    func answer(_ request: CoordinatorRequest) async -> CoordinatorAnswer

    /// Ends the tenure, if there is one, and closes all connections.
    func close() async
}

extension LogEntry {
    /// Entries as bytes, to be kept together.
    package static func bytes(of entries: [LogEntry]) -> [UInt8] {
        var writer = RecordWriter()
        writer.put(list: entries)
        return writer.bytes
    }

    /// Reads entries that were kept together.
    ///
    /// **Throws:** when the bytes are cut off or wrong.
    package static func list(_ bytes: [UInt8]) throws(CodecError) -> [LogEntry] {
        var reader = RecordReader(bytes)
        return try reader.list("entries", limit: Limits.entriesPerAppend)
    }
}
