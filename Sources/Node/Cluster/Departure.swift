package import Cluster
import ClusterStore
import Fabric
package import Identity
import SystemPackage
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Leaves the cluster that a data directory belongs to.
package struct Departure: Sendable {
    /// Time between looks at whether the node's process has ended. **Units:** milliseconds.
    private static let lookMilliseconds = 100

    private let folder: String

    /// Of a data directory.
    package init(dataFolder: String = Folders.data) { folder = dataFolder }

    /// Who this machine is in its cluster; nil when it is in none.
    ///
    /// **Throws:** `IdentityError` when the identity cannot be read.
    package func membership() throws(IdentityError) -> (node: NodeID, cluster: Identity.ClusterID)? {
        guard let credentials = try IdentityStore.peek(dataDirectory: FilePath(folder))?.credentials else { return nil }
        return (credentials.node, credentials.cluster)
    }

    /// Asks the node's process to end, and waits until it has; whether it has.
    package func endProcess(seconds: Int) async -> Bool {
        guard let process = holder else { return true }
        guard kill(process, SIGTERM) == 0 else { return holder == nil }
        for _ in 0..<(seconds * 1000 / Self.lookMilliseconds) where holder != nil {
            try? await Task.sleep(for: .milliseconds(Self.lookMilliseconds))
        }
        return holder == nil
    }

    /// The process of this machine's node; nil while none runs.
    package var holder: Int32? { IdentityStore.holder(dataDirectory: FilePath(folder)) }

    /// Forgets the cluster: from here on the machine is a new one, in no cluster. What there was is kept beside; the
    /// memory of the control plane is set aside by the next start. Answers where the old identity is.
    ///
    /// **Throws:** `IdentityError` when a process has the identity, or the disk fails.
    package func forget() throws(IdentityError) -> String {
        let kept = try IdentityStore(dataDirectory: FilePath(folder)).leave()
        Founding(folder: folder).end()
        return "\(kept)"
    }

    /// Whether a node that joins another cluster is in one of its own that has no other member and no deployment.
    ///
    /// **Throws:** `IdentityError.alreadyMember` when it is in another one that it would be missed in, `StoreFailure`
    /// when that cannot be found out.
    func isAlone(_ store: IdentityStore, _ founding: Founding, joining ticket: JoinTicket) throws -> Bool {
        guard let own = store.identity.credentials, own.authority.fingerprint != ticket.authority else { return false }
        if founding.isUnderWay { return true }
        var memory = try SQLiteEventStore(
            path: "\(folder)/cluster.sqlite", owner: StoreOwner(cluster: own.cluster.value, node: own.node))
        let stored = try memory.load()
        var state = stored.snapshot
        for entry in stored.entries where entry.index == state.index + 1 { state.apply(entry) }
        guard state.members.keys == [own.node], state.deployments.isEmpty else {
            throw JoinError.identity(.alreadyMember(of: own.cluster, node: own.node))
        }
        return true
    }
}

/// Removes members that ask for it, on the leader's node: whoever was removed does not hear of it any other way.
struct LeaveOffice: Sendable {
    let service: LateService

    func remove(_ node: NodeID) async -> LeaveReply {
        guard let service = service.value else {
            return LeaveReply(.refused(CommandRefusal(.unanswered, "The node is starting; try again in a moment.")))
        }
        do {
            return LeaveReply(try await service.apply(.remove(node)))
        } catch {
            return LeaveReply(.refused(CommandRefusal(.unanswered, "\(error)")))
        }
    }
}

/// How a removal ended.
struct LeaveReply: Codable, Sendable {
    private var index: UInt64?
    private var code: UInt8?
    private var text: String?

    init(_ outcome: CommandOutcome) {
        switch outcome {
        case .done(let index): self.index = index
        case .doneDegraded: break
        case .refused(let refusal): (code, text) = (refusal.code.rawValue, refusal.description)
        }
    }

    var outcome: CommandOutcome {
        if let code { return .refused(CommandRefusal(CommandRefusal.Code(rawValue: code) ?? .invalid, text ?? "")) }
        return index.map { .done(index: $0) } ?? .doneDegraded
    }
}
