import Cluster

/// A coordinator in memory: linearizable, with leases that end by the world's time. Who asks may be cut off, be
/// answered late, or not at all.
struct SimulatedCoordinator {
    /// Who leads.
    struct Holder {
        var node: NodeID
        var tenure: UInt64
        /// World time. **Units:** nanoseconds.
        var expiresAt: Int64
    }

    private(set) var charter: CoordinatorCharter?
    private(set) var holder: Holder?
    private(set) var head = LogPlace()
    private(set) var snapshot: CoordinatedSnapshot?
    private(set) var entries: [LogEntry] = []
    private var revision: UInt64 = 1
    /// Nobody is answered before this. **Units:** nanoseconds of world time.
    var isDownUntil: Int64 = 0
    /// A planted bug: what names an ended tenure is carried out.
    var isUnfenced = false
    /// The lease was ended before its time, so its holder cannot know.
    private(set) var wasTaken = false

    /// Somebody with the right to do so deletes the leader's key.
    mutating func takeLease() {
        guard holder != nil else { return }
        holder = nil
        wasTaken = true
    }

    mutating func answer(
        _ request: CoordinatorRequest, from node: NodeID, at time: Int64, lease: Int64
    ) -> CoordinatorAnswer {
        if let current = holder, current.expiresAt <= time { holder = nil }
        if let tenure = request.tenure, holder?.tenure != tenure, !isUnfenced { return .fenced }
        switch request {
        case .inspect: return .inspected(charter, holder: holder?.node)
        case .campaign:
            guard holder == nil || holder?.node == node else { return .held }
            revision += 1
            holder = Holder(node: node, tenure: revision, expiresAt: time + lease)
            return .won(tenure: revision)
        case .renew(let tenure):
            if holder?.tenure == tenure { holder?.expiresAt = time + lease }
            return .renewed
        case .read(let index): return .read(reading(after: index))
        case .found(_, let new, let snapshot):
            guard charter == nil else { return .fenced }
            charter = new
            self.snapshot = snapshot
            head = snapshot.place
            return .done
        case .raise(_, let new):
            charter = new
            return .done
        case .append(_, let behind, let new):
            guard head == behind || isUnfenced else { return .appended(head) }
            guard let first = new.first, let last = new.last else { return .appended(head) }
            entries.removeAll { $0.index >= first.index }
            entries += new
            head = LogPlace(index: last.index, term: last.term)
            return .appended(head)
        case .compact(_, let replacing, let new):
            if snapshot?.place == replacing {
                snapshot = new
                entries.removeAll { $0.index <= new.place.index }
            }
            return .compacted(snapshot?.place ?? LogPlace())
        case .resign(let tenure):
            if holder?.tenure == tenure { holder = nil }
            return .done
        }
    }

    /// A new leader was chosen; whether the one before may still believe in its lease.
    mutating func settleTaken() -> Bool {
        defer { wasTaken = false }
        return wasTaken
    }

    private func reading(after index: UInt64) -> CoordinatorReading {
        var reading = CoordinatorReading()
        reading.charter = charter
        reading.head = head
        reading.snapshotPlace = snapshot?.place ?? LogPlace()
        if let snapshot, snapshot.place.index > index { reading.snapshot = snapshot }
        reading.entries = entries.filter { $0.index >= index }
        return reading
    }
}

extension CoordinatorRequest {
    /// The tenure that must hold for it.
    fileprivate var tenure: UInt64? {
        switch self {
        case .renew(let tenure), .found(let tenure, _, _), .raise(let tenure, _), .append(let tenure, _, _),
            .compact(let tenure, _, _):
            tenure
        case .inspect, .campaign, .read, .resign: nil
        }
    }
}
