/// A node admitted to the cluster.
package struct Member: Hashable, Sendable, Recordable {
    /// What part a member takes.
    package enum Role: UInt8, Sendable {
        /// Runs stages and may vote.
        case full = 0
        /// Answers the API and may vote; runs no stage.
        case management = 1
        /// Runs stages; never votes, because it holds no copy of the cluster's key.
        case worker = 2
    }

    /// Who it is.
    package var node: NodeID
    /// The name people gave it.
    package var name: String
    /// Where it is reached, best first; the transport reads them.
    package var addresses: [String]
    /// Port of those addresses where members ask each other for model files and stages; 0 while it is not known.
    package var dataPort: UInt32 = 0
    /// Fingerprint of its public key, hexadecimal; empty where members prove nothing.
    package var key = ""
    /// Newest minor version of events it understands.
    package var level: UInt32
    /// What it can do, `engine-compute`, sorted.
    package var tags: [String]
    /// What part it takes.
    package var role = Role.full
    /// Runs no new stages, and gives away those it has.
    package var isDraining = false
    /// Index of the entry that admitted it; lower is more senior. 0 until admitted.
    package var admittedAt: UInt64 = 0
    /// When this was said; the latest wins.
    package var stamp = Stamp.zero

    /// Makes a member not admitted yet.
    package init(
        node: NodeID, name: String = "", addresses: [String] = [], level: UInt32 = ClusterEvent.level,
        tags: [String] = [], role: Role = .full
    ) {
        self.node = node
        self.name = name
        self.addresses = addresses
        self.level = level
        self.tags = tags
        self.role = role
    }

    func write(to writer: inout RecordWriter) {
        writer.put(node.value)
        writer.put(name)
        writer.put(texts: addresses)
        writer.put(UInt64(dataPort))
        writer.put(key)
        writer.put(UInt64(level))
        writer.put(texts: tags)
        writer.put(UInt64(role.rawValue))
        writer.put(isDraining)
        writer.put(admittedAt)
        writer.put(stamp)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        node = NodeID(try reader.number("member.node"))
        name = try reader.text("member.name")
        addresses = try reader.texts("member.addresses")
        dataPort = try reader.number32("member.dataPort")
        key = try reader.text("member.key")
        level = try reader.number32("member.level")
        tags = try reader.texts("member.tags")
        // A part this version does not know must not run stages.
        role = Role(rawValue: UInt8(truncatingIfNeeded: try reader.number("member.role"))) ?? .management
        isDraining = try reader.bool("member.draining")
        admittedAt = try reader.counter("member.admittedAt")
        stamp = try reader.record("member.stamp")
    }
}
