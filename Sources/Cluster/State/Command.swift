package import Vocabulary

/// Something somebody wants. The leader turns it into events, or refuses it with a reason.
package struct Command: Hashable, Sendable, Recordable {
    /// What is wanted.
    package enum Action: Hashable, Sendable {
        /// Serve a model, or change how it is served.
        case deploy(Deployment)
        /// Serve it no more.
        case undeploy(String)
        /// A request came for this deployment: wake it, or make it when first requests may.
        case demand(Deployment)
        /// Keep a deployment loaded for this long after its last request from now on: 0 unloads it at once and changes
        /// nothing else, nil keeps it for ever. Its stages stay as they are. **Units:** milliseconds.
        case keep(String, UInt64?)
        /// Give a setting a value; nil removes it.
        case configure(String, String?)
        /// Admit a node, or change its record.
        case admit(Member)
        /// Remove a node for good.
        case remove(NodeID)
        /// Move stages away from a node, or let it take some again.
        case drain(NodeID, Bool)
        /// What a part of the cluster decided while it was cut off.
        case merge(BranchContent)
        /// Take a node whose memory was lost off the voters; only the node itself asks for it.
        case retire(NodeID)

        /// Begin to load; the leader gives it its epoch. Made by the reconcilers.
        case begin(PlacedReplica)
        /// Advance an epoch from one phase to a later one. Made by the reconcilers.
        case advance(Epoch, from: PlacementPhase, to: PlacementPhase, note: String)
        /// End an epoch. Made by the reconcilers.
        case end(Epoch, reason: String)
        /// Remember something about a replica. Made by the reconcilers.
        case remember(ReplicaKey, ReplicaRecord)
        /// Keep a node from a deployment for a while. Made by the reconcilers.
        case exclude(Exclusion)
        /// Unload for want of requests. Made by the reconcilers.
        case sleep(String)
        /// Change the voters by one. Made by the reconcilers.
        case changeVoters([NodeID])
    }

    /// Its identity; the same id is carried out once.
    package var id: CommandID
    /// When the caller's node took it; a command older than the memory of results is refused.
    package var issued: Stamp
    /// What is wanted.
    package var action: Action

    init(id: CommandID, issued: Stamp, action: Action) {
        self.id = id
        self.issued = issued
        self.action = action
    }

    func write(to writer: inout RecordWriter) {
        writer.put(id)
        writer.put(issued)
        action.write(to: &writer)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        id = try reader.record("command.id")
        issued = try reader.record("command.issued")
        action = try Action(from: &reader)
    }
}

/// Why a command is not carried out.
package struct CommandRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of reason, for programs.
    package enum Code: UInt8, Sendable {
        /// There is no such thing.
        case notFound = 0
        /// A value is out of its range.
        case invalid = 1
        /// A table is full.
        case full = 2
        /// It contradicts what is.
        case conflict = 3
        /// It is older than the memory of results, so it may have been carried out.
        case tooOld = 4
        /// The leader's disk takes nothing that must last.
        case storage = 5
        /// Too much is under way.
        case overloaded = 6
        /// No leader took it in time; it may still be carried out.
        case unanswered = 7
    }

    /// What kind of reason, for programs.
    package let code: Code
    /// One sentence with the numbers and the next step.
    package let description: String

    /// Makes a refusal.
    package init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}

/// How a command ended.
package enum CommandOutcome: Hashable, Sendable {
    /// It is in the log at this index, on the disks of a majority.
    case done(index: UInt64)
    /// It is done in a part of the cluster without a majority; it merges with the rest by its stamp.
    case doneDegraded
    /// It is not done, or nobody knows (`unanswered`).
    case refused(CommandRefusal)
}

/// What a part of the cluster decided by itself while it had no majority.
package struct BranchContent: Hashable, Sendable, Recordable {
    /// Members that were set.
    package var members: [Member] = []
    /// Members that were removed, and when.
    package var removedMembers: [Removal] = []
    /// Deployments that were set.
    package var deployments: [Deployment] = []
    /// Deployments that were removed, and when.
    package var removedDeployments: [Removal] = []
    /// Settings that were set.
    package var settings: [NamedSetting] = []
    /// Placements that serve: what its owners re-assert.
    package var placements: [PlacedReplica] = []
    /// The highest number of an epoch there was. Nodes may have fenced any of them off, so later ones count on from it.
    package var lastEpoch: UInt64 = 0

    /// A removal.
    package struct Removal: Hashable, Sendable, Recordable {
        var node = NodeID(0)
        var name = ""
        var stamp: Stamp

        func write(to writer: inout RecordWriter) {
            writer.put(node)
            writer.put(name)
            writer.put(stamp)
        }
    }

    /// A setting with its name.
    package struct NamedSetting: Hashable, Sendable, Recordable {
        var name: String
        var setting: Setting

        func write(to writer: inout RecordWriter) {
            writer.put(name)
            writer.put(setting)
        }
    }

    /// Whether there is nothing to say.
    package var isEmpty: Bool {
        members.isEmpty && removedMembers.isEmpty && deployments.isEmpty && removedDeployments.isEmpty
            && settings.isEmpty && placements.isEmpty && lastEpoch == 0
    }

    init() {}

    func write(to writer: inout RecordWriter) {
        writer.put(list: members)
        writer.put(list: removedMembers)
        writer.put(list: deployments)
        writer.put(list: removedDeployments)
        writer.put(list: settings)
        writer.put(list: placements)
        writer.put(lastEpoch)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        members = try reader.list("branch.members", limit: Limits.memberCount)
        removedMembers = try reader.list("branch.removedMembers", limit: Limits.tombstoneCount)
        deployments = try reader.list("branch.deployments", limit: Limits.deploymentCount)
        removedDeployments = try reader.list("branch.removedDeployments", limit: Limits.tombstoneCount)
        settings = try reader.list("branch.settings", limit: Limits.settingCount)
        placements = try reader.list("branch.placements", limit: Limits.placementCount)
        lastEpoch = reader.isAtEnd ? 0 : try reader.counter("branch.lastEpoch")
    }
}

extension BranchContent.Removal {
    init(from reader: inout RecordReader) throws(CodecError) {
        node = try reader.record("removal.node")
        name = try reader.text("removal.name")
        stamp = try reader.record("removal.stamp")
    }
}

extension BranchContent.NamedSetting {
    init(from reader: inout RecordReader) throws(CodecError) {
        name = try reader.text("setting.name")
        setting = try reader.record("setting")
    }
}
