/// Whether a member answers.
package enum Liveness: UInt8, Sendable, Comparable {
    /// It answers, as far as is known.
    case alive = 0
    /// It did not answer somebody, and may object.
    case suspect = 1
    /// It does not answer.
    case dead = 2
    /// It said good-bye.
    case left = 3

    /// Orders by how much it takes to say so again.
    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// News about a member: of two with the same incarnation the worse one counts, and only the member itself raises its
/// incarnation.
package struct StatusUpdate: Hashable, Sendable, Recordable {
    /// About whom.
    package var node: NodeID
    /// What is said.
    package var status: Liveness
    /// Raised by the member itself to object to a suspicion.
    package var incarnation: UInt64

    init(node: NodeID, status: Liveness, incarnation: UInt64) {
        self.node = node
        self.status = status
        self.incarnation = incarnation
    }

    func write(to writer: inout RecordWriter) {
        writer.put(node.value)
        writer.put(UInt64(status.rawValue))
        writer.put(incarnation)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        node = NodeID(try reader.number("update.node"))
        let value = try reader.number("update.status")
        guard let status = UInt8(exactly: value).flatMap(Liveness.init) else {
            throw .invalidValue(field: "update.status", offset: reader.offset, value: value)
        }
        self.status = status
        incarnation = try reader.counter("update.incarnation")
    }
}

/// What a node knows of who leads; it rides on every probe, so that a node that hears no leader finds one.
package struct LeaderHint: Hashable, Sendable, Recordable {
    /// Highest term known.
    package var term: UInt64 = 0
    /// Who leads in it; nil while nobody does.
    package var leader: NodeID?
    /// Index up to which entries are known to be committed.
    package var commit: UInt64 = 0
    /// Whether the sender's memory was lost and it is not retired yet, so that it helps nobody to lead.
    package var hasForgotten = false

    init() {}

    init(term: UInt64, leader: NodeID?, commit: UInt64, hasForgotten: Bool) {
        self.term = term
        self.leader = leader
        self.commit = commit
        self.hasForgotten = hasForgotten
    }

    func write(to writer: inout RecordWriter) {
        writer.put(term)
        writer.put(optional: leader)
        writer.put(commit)
        writer.put(hasForgotten)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        term = try reader.counter("hint.term")
        leader = try reader.optionalRecord("hint.leader")
        commit = try reader.counter("hint.commit")
        hasForgotten = reader.isAtEnd ? false : try reader.bool("hint.forgotten")
    }
}

/// News that rides on a probe or its answer.
package struct Gossip: Hashable, Sendable, Recordable {
    /// Who leads, as far as the sender knows.
    package var hint = LeaderHint()
    /// Who answers and who does not.
    package var updates: [StatusUpdate] = []
    /// Parts of the telemetry of nodes.
    package var news: [ReadingNews] = []

    init() {}

    func write(to writer: inout RecordWriter) {
        writer.put(hint)
        writer.put(list: updates)
        writer.put(list: news)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        hint = try reader.record("gossip.hint")
        updates = try reader.list("gossip.updates", limit: Limits.gossipBytes)
        news = try reader.list("gossip.news", limit: Limits.gossipBytes)
    }
}
