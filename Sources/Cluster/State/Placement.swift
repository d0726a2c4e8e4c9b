package import Vocabulary

/// A stage on its node.
package struct StageAssignment: Hashable, Sendable, Recordable {
    /// Who runs it.
    package var node: NodeID
    /// What it runs.
    package var layers: LayerRange
    /// Memory the plan counts for it: weights, cache and buffers.
    package var bytes: ByteCount
    /// What of it is for the projector beside an entry stage.
    package var projector: ByteCount

    /// Makes an assignment.
    package init(node: NodeID, layers: LayerRange, bytes: ByteCount, projector: ByteCount = ByteCount(0)) {
        self.node = node
        self.layers = layers
        self.bytes = bytes
        self.projector = projector
    }

    func write(to writer: inout RecordWriter) {
        writer.put(node.value)
        writer.put(layers)
        writer.put(bytes.bytes)
        // Written only where there is one, as older nodes would.
        if projector.bytes > 0 { writer.put(projector.bytes) }
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        node = NodeID(try reader.number("stage.node"))
        layers = try reader.record("stage.layers")
        bytes = ByteCount(try reader.number("stage.bytes", limit: Limits.stageBytes))
        projector = ByteCount(reader.isAtEnd ? 0 : try reader.number("stage.projector", limit: Limits.stageBytes))
    }
}

/// Where one epoch of a placement is on its way.
package enum PlacementPhase: UInt8, Sendable, Comparable {
    /// Nodes fetch and cut, then load, all in parallel and in the shadow of the epoch that serves.
    case loading = 0
    /// All stages are loaded; a token goes through the whole chain.
    case canary = 1
    /// Serves.
    case active = 2
    /// Ends what it has begun and takes nothing new.
    case draining = 3

    /// Orders by progress.
    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// The stages of one replica on their nodes, in one epoch.
package struct PlacedReplica: Hashable, Sendable, Recordable {
    /// Its identity, and what fences it.
    package var epoch: Epoch
    /// Whose copy it is.
    package var replica: ReplicaKey
    /// The stages in order; the first one is the entry stage.
    package var stages: [StageAssignment]
    /// Context it is loaded with. **Units:** tokens.
    package var contextTokens: UInt64
    /// Lanes it is loaded with.
    package var lanes: UInt64
    /// Stamp of the wish it was made for; a later wish replaces it.
    package var wish = Stamp.zero
    /// Where it is on its way.
    package var phase = PlacementPhase.loading
    /// Wall clock of the leader when the phase began. **Units:** milliseconds since 1970.
    package var since: Int64 = 0
    /// Why it is in this phase, when that needs a word.
    package var note = ""

    /// Makes an epoch that begins to load.
    package init(
        epoch: Epoch, replica: ReplicaKey, stages: [StageAssignment], contextTokens: UInt64 = 0, lanes: UInt64 = 0
    ) {
        self.epoch = epoch
        self.replica = replica
        self.stages = stages
        self.contextTokens = contextTokens
        self.lanes = lanes
    }

    /// Whether a node runs one of the stages.
    package func uses(_ node: NodeID) -> Bool { stages.contains { $0.node == node } }

    func write(to writer: inout RecordWriter) {
        writer.put(epoch)
        writer.put(replica)
        writer.put(list: stages)
        writer.put(contextTokens)
        writer.put(lanes)
        writer.put(wish)
        writer.put(UInt64(phase.rawValue))
        writer.put(signed: since)
        writer.put(note)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        epoch = try reader.record("placement.epoch")
        replica = try reader.record("placement.replica")
        stages = try reader.list("placement.stages", limit: Limits.stageCount)
        contextTokens = try reader.number("placement.context")
        lanes = try reader.number("placement.lanes")
        wish = try reader.record("placement.wish")
        phase = try reader.phase("placement.phase")
        since = try reader.milliseconds("placement.since")
        note = try reader.text("placement.note")
    }
}

extension RecordReader {
    mutating func phase(_ field: String) throws(CodecError) -> PlacementPhase {
        let value = try number(field)
        guard let phase = UInt8(exactly: value).flatMap(PlacementPhase.init) else {
            throw .invalidValue(field: field, offset: offset, value: value)
        }
        return phase
    }
}

/// What is remembered about a replica beside its placements.
package struct ReplicaRecord: Hashable, Sendable, Recordable {
    /// Fewest stages the next plan may use: one more after every refusal for memory.
    package var width: Int = 1
    /// Wall clock of crashes within the crash window, oldest first. **Units:** milliseconds since 1970.
    package var crashes: [Int64] = []
    /// Why it is not being placed any more; empty while it is.
    package var failure = ""
    /// Why the last try came to nothing; empty when it did not.
    package var note = ""
    /// Whether the last try came to nothing because the model does not fit into the cluster.
    package var isShortfall = false

    /// Nothing happened yet.
    package init() {}

    func write(to writer: inout RecordWriter) {
        writer.put(count: width)
        writer.put(count: crashes.count)
        for crash in crashes { writer.put(signed: crash) }
        writer.put(failure)
        writer.put(note)
        writer.put(isShortfall)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        width = try reader.count("replica.width", limit: Limits.stageCount)
        let count = try reader.count("replica.crashes", limit: Limits.crashCount)
        for _ in 0..<count { crashes.append(try reader.milliseconds("replica.crash")) }
        failure = try reader.text("replica.failure")
        note = try reader.text("replica.note")
        isShortfall = reader.isAtEnd ? false : try reader.bool("replica.shortfall")
    }
}

/// A node that does not fit a deployment for a while.
package struct Exclusion: Hashable, Sendable, Recordable {
    /// Which deployment.
    package var deployment: String
    /// Which node.
    package var node: NodeID
    /// What went wrong there.
    package var reason: String
    /// Until when it counts. **Units:** milliseconds since 1970.
    package var until: Int64

    init(deployment: String, node: NodeID, reason: String, until: Int64) {
        self.deployment = deployment
        self.node = node
        self.reason = reason
        self.until = until
    }

    func write(to writer: inout RecordWriter) {
        writer.put(deployment)
        writer.put(node.value)
        writer.put(reason)
        writer.put(signed: until)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        deployment = try reader.text("exclusion.deployment")
        node = NodeID(try reader.number("exclusion.node"))
        reason = try reader.text("exclusion.reason")
        until = try reader.milliseconds("exclusion.until")
    }
}
