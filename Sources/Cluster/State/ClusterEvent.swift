package import Vocabulary

/// Something that happened to the cluster's state.
///
/// Kinds are never reused and grow only at the end of their records, so releases of different age share a log.
package enum ClusterEvent: Hashable, Sendable {
    /// The newest minor version of events this release understands.
    package static let level: UInt32 = 1

    /// The cluster began with this member as its only voter.
    case founded(cluster: UInt64, member: Member)
    /// A leader was elected; its first entry, which lets it commit what came before.
    case termBegan(leader: NodeID)
    /// A node was admitted, or its record changed.
    case memberSet(Member)
    /// A node was removed; its certificate is worth nothing from here on.
    case memberRemoved(NodeID, stamp: Stamp)
    /// The voters changed by one.
    case votersChanged([NodeID])
    /// A deployment was wished for, or the wish changed.
    case deploymentSet(Deployment)
    /// A deployment is not wished for any more.
    case deploymentRemoved(String, stamp: Stamp)
    /// A setting got a value or lost it.
    case settingSet(String, Setting)
    /// Stages began to load under a new epoch.
    case placementBegan(PlacedReplica)
    /// An epoch reached a phase. Reaching `active` sends the one that served until then into `draining`.
    case placementAdvanced(Epoch, to: PlacementPhase, at: Int64, note: String)
    /// An epoch is gone; its nodes free what it held.
    case placementEnded(Epoch, reason: String)
    /// What is remembered about a replica changed; nil forgets it.
    case replicaChanged(ReplicaKey, ReplicaRecord?)
    /// A node does not fit a deployment for a while.
    case nodeExcluded(Exclusion)
    /// A deployment was unloaded for want of requests (true), or is wanted again (false).
    case deploymentSlept(String, Bool)
    /// Epochs up to this number were begun while there was no majority.
    case epochsCounted(UInt64)
    /// A kind of a newer minor version; kept as it came, and skipped.
    case unknown(kind: UInt64)
}

/// An event as it is stored and sent: its kind and its bytes, so that what this version does not know survives.
package struct EventRecord: Hashable, Sendable, Recordable {
    /// Which kind of event.
    package let kind: UInt64
    /// Its fields.
    package let body: [UInt8]

    init(kind: UInt64, body: [UInt8]) {
        self.kind = kind
        self.body = body
    }

    func write(to writer: inout RecordWriter) {
        writer.put(kind)
        writer.put(body)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        kind = try reader.number("event.kind")
        body = try reader.data("event.body", limit: Limits.eventBytes)
    }

    /// Encodes an event.
    package init(_ event: ClusterEvent) {
        var writer = RecordWriter()
        kind = event.write(to: &writer)
        body = writer.bytes
    }

    /// The event; one that cannot be read is as good as unknown.
    package var event: ClusterEvent {
        var reader = RecordReader(body)
        do {
            return try ClusterEvent(kind: kind, &reader)
        } catch {
            return .unknown(kind: kind)
        }
    }
}

extension ClusterEvent {
    /// Writes the fields and returns the kind.
    func write(to writer: inout RecordWriter) -> UInt64 {
        switch self {
        case .founded(let cluster, let member):
            writer.put(cluster)
            writer.put(member)
            return 1
        case .termBegan(let leader):
            writer.put(leader.value)
            return 2
        case .memberSet(let member):
            writer.put(member)
            return 3
        case .memberRemoved(let node, let stamp):
            writer.put(node.value)
            writer.put(stamp)
            return 4
        case .votersChanged(let voters):
            writer.put(list: voters)
            return 5
        case .deploymentSet(let deployment):
            writer.put(deployment)
            return 6
        case .deploymentRemoved(let name, let stamp):
            writer.put(name)
            writer.put(stamp)
            return 7
        case .settingSet(let name, let setting):
            writer.put(name)
            writer.put(setting)
            return 8
        case .placementBegan(let placement):
            writer.put(placement)
            return 9
        case .placementAdvanced(let epoch, let phase, let time, let note):
            writer.put(epoch)
            writer.put(UInt64(phase.rawValue))
            writer.put(signed: time)
            writer.put(note)
            return 10
        case .placementEnded(let epoch, let reason):
            writer.put(epoch)
            writer.put(reason)
            return 11
        case .replicaChanged(let key, let record):
            writer.put(key)
            writer.put(optional: record)
            return 12
        case .nodeExcluded(let exclusion):
            writer.put(exclusion)
            return 13
        case .deploymentSlept(let name, let sleeps):
            writer.put(name)
            writer.put(sleeps)
            return 14
        case .epochsCounted(let number):
            writer.put(number)
            return 15
        case .unknown(let kind): return kind
        }
    }

    /// Reads the fields of a kind.
    init(kind: UInt64, _ reader: inout RecordReader) throws(CodecError) {
        switch kind {
        case 1: self = .founded(cluster: try reader.number("cluster"), member: try reader.record("member"))
        case 2: self = .termBegan(leader: NodeID(try reader.number("leader")))
        case 3: self = .memberSet(try reader.record("member"))
        case 4: self = .memberRemoved(NodeID(try reader.number("node")), stamp: try reader.record("stamp"))
        case 5: self = .votersChanged(try reader.list("voters", limit: Limits.voterCount + 1))
        case 6: self = .deploymentSet(try reader.record("deployment"))
        case 7: self = .deploymentRemoved(try reader.text("name"), stamp: try reader.record("stamp"))
        case 8: self = .settingSet(try reader.text("name"), try reader.record("setting"))
        case 9: self = .placementBegan(try reader.record("placement"))
        case 10:
            self = .placementAdvanced(
                try reader.record("epoch"), to: try reader.phase("phase"), at: try reader.milliseconds("at"),
                note: try reader.text("note"))
        case 11: self = .placementEnded(try reader.record("epoch"), reason: try reader.text("reason"))
        case 12: self = .replicaChanged(try reader.record("replica"), try reader.optionalRecord("record"))
        case 13: self = .nodeExcluded(try reader.record("exclusion"))
        case 14: self = .deploymentSlept(try reader.text("name"), try reader.bool("sleeps"))
        case 15: self = .epochsCounted(try reader.counter("number"))
        default: self = .unknown(kind: kind)
        }
    }
}
