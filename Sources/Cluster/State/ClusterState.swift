package import Vocabulary

/// What the members agree on: the sum of the events up to `index`.
///
/// The same events give byte-identical `encoded` state on every node. No table only grows: each has its bound in
/// `Limits`, and what happens there stands at `apply`.
package struct ClusterState: Hashable, Sendable {
    /// Identity of the cluster; 0 before it was founded.
    package internal(set) var cluster: UInt64 = 0
    /// Index of the last entry applied.
    package internal(set) var index: UInt64 = 0
    /// Members by id.
    package internal(set) var members = OrderedTable<NodeID, Member>()
    /// Members removed, and when.
    package internal(set) var removedMembers = OrderedTable<NodeID, Stamp>()
    /// Voters, ascending.
    package internal(set) var voters: [NodeID] = []
    /// Deployments by name.
    package internal(set) var deployments = OrderedTable<String, Deployment>()
    /// Deployments removed, and when.
    package internal(set) var removedDeployments = OrderedTable<String, Stamp>()
    /// Deployments unloaded for want of requests.
    package internal(set) var sleeping = OrderedTable<String, Bool>()
    /// Settings by name.
    package internal(set) var settings = OrderedTable<String, Setting>()
    /// Placements by epoch.
    package internal(set) var placements = OrderedTable<Epoch, PlacedReplica>()
    /// What is remembered about replicas.
    package internal(set) var replicas = OrderedTable<ReplicaKey, ReplicaRecord>()
    /// Nodes that do not fit a deployment for a while, oldest first.
    package internal(set) var exclusions: [Exclusion] = []
    /// Number of the last epoch begun.
    package internal(set) var lastEpoch: UInt64 = 0
    /// Commands applied lately.
    package internal(set) var results = ResultTable()

    /// The state before the first event.
    package init() {}

    /// The state as bytes; equal states have equal bytes.
    package var encodedBytes: [UInt8] { encoded }

    /// Reads a state from its bytes.
    ///
    /// **Throws:** when they are cut off or wrong.
    package init(bytes: [UInt8]) throws(CodecError) { try self.init(encoded: bytes) }

    /// Placements of a replica by ascending epoch.
    package func placements(of replica: ReplicaKey) -> [PlacedReplica] {
        placements.values.filter { $0.replica == replica }
    }

    /// The epoch that serves a replica.
    package func activePlacement(of replica: ReplicaKey) -> PlacedReplica? {
        placements.elements.last { $0.value.replica == replica && $0.value.phase == .active }?.value
    }
}

extension ClusterState: Recordable {
    func write(to writer: inout RecordWriter) {
        writer.put(cluster)
        writer.put(index)
        writer.put(list: members.values)
        writer.put(count: removedMembers.count)
        for row in removedMembers.elements {
            writer.put(row.key)
            writer.put(row.value)
        }
        writer.put(list: voters)
        writer.put(list: deployments.values)
        writer.put(count: removedDeployments.count)
        for row in removedDeployments.elements {
            writer.put(row.key)
            writer.put(row.value)
        }
        writer.put(count: sleeping.count)
        for name in sleeping.keys { writer.put(name) }
        writer.put(count: settings.count)
        for row in settings.elements {
            writer.put(row.key)
            writer.put(row.value)
        }
        writer.put(list: placements.values)
        writer.put(count: replicas.count)
        for row in replicas.elements {
            writer.put(row.key)
            writer.put(row.value)
        }
        writer.put(list: exclusions)
        writer.put(lastEpoch)
        writer.put(results)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        cluster = try reader.number("state.cluster")
        index = try reader.counter("state.index")
        for member in try reader.list("state.members", limit: Limits.memberCount, Member.self) {
            members[member.node] = member
        }
        for _ in 0..<(try reader.count("state.removedMembers", limit: Limits.tombstoneCount)) {
            let node = try reader.record("removed.node", NodeID.self)
            removedMembers[node] = try reader.record("removed.stamp", Stamp.self)
        }
        voters = try reader.list("state.voters", limit: Limits.voterCount + 1)
        for deployment in try reader.list("state.deployments", limit: Limits.deploymentCount, Deployment.self) {
            deployments[deployment.name] = deployment
        }
        for _ in 0..<(try reader.count("state.removedDeployments", limit: Limits.tombstoneCount)) {
            let name = try reader.text("removed.name")
            removedDeployments[name] = try reader.record("removed.stamp", Stamp.self)
        }
        for _ in 0..<(try reader.count("state.sleeping", limit: Limits.deploymentCount)) {
            sleeping[try reader.text("sleeping.name")] = true
        }
        for _ in 0..<(try reader.count("state.settings", limit: Limits.settingCount)) {
            let name = try reader.text("setting.name")
            settings[name] = try reader.record("setting", Setting.self)
        }
        for placement in try reader.list("state.placements", limit: Limits.placementCount, PlacedReplica.self) {
            placements[placement.epoch] = placement
        }
        for _ in 0..<(try reader.count("state.replicas", limit: Limits.placementCount)) {
            let key = try reader.record("replica.key", ReplicaKey.self)
            replicas[key] = try reader.record("replica.record", ReplicaRecord.self)
        }
        exclusions = try reader.list("state.exclusions", limit: Limits.exclusionCount)
        lastEpoch = try reader.counter("state.lastEpoch")
        results = try reader.record("state.results")
    }
}
