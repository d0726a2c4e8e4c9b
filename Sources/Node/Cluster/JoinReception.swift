import Cluster
import Fabric
import Identity
import Synchronization
import Vocabulary

/// Carries requests to join to the leader's node, and decides them there.
///
/// **Isolation:** an actor, so that of two requests with one token the second sees what the first has spent.
actor JoinReception: JoinAuthorizing {
    private let store: IdentityStore
    private let peers: PeerClient
    private let versions: JoinVersions
    private let service: LateService
    /// Requests under way; strangers beyond it are told to come back.
    private static let limit = 64
    private var underWay = 0
    private var turns: [CheckedContinuation<Void, Never>] = []
    private var isDeciding = false

    init(store: IdentityStore, peers: PeerClient, versions: JoinVersions, service: LateService) {
        self.store = store
        self.peers = peers
        self.versions = versions
        self.service = service
    }

    /// See `JoinAuthorizing`.
    func answer(_ request: JoinRequest) async -> JoinDecision { await answer(request, mayPassOn: true) }

    /// Answers a request that another member passed on: it is decided here or not at all.
    func answerPassedOn(_ request: JoinRequest) async -> JoinDecision { await answer(request, mayPassOn: false) }

    private func answer(_ request: JoinRequest, mayPassOn: Bool) async -> JoinDecision {
        guard let service = service.value, let credentials = store.identity.credentials else {
            return .refused(.unavailable("The node is starting; try again in a moment."))
        }
        guard underWay < Self.limit else { return .refused(.busy(retrySeconds: 2)) }
        underWay += 1
        defer { underWay -= 1 }
        guard let leader = await service.view.leadership.leader else {
            return .refused(.unavailable("The cluster has no leader at the moment; try again in a few seconds."))
        }
        guard leader == service.node else {
            guard mayPassOn else {
                return .refused(.unavailable("The leader is changing at the moment; try again in a few seconds."))
            }
            return await forward(request, to: leader)
        }
        await enter()
        defer { leave() }
        return await decide(request, service, credentials)
    }

    private func forward(_ request: JoinRequest, to leader: NodeID) async -> JoinDecision {
        do throws(PeerError) {
            let answer = try await peers.post("join", bytes: request.bytes, to: leader)
            return JoinDecision(bytes: answer)
                ?? .refused(.unavailable("The leader's answer cannot be read; try again in a few seconds."))
        } catch {
            return .refused(.unavailable("The leader cannot be asked (\(error)); try again in a few seconds."))
        }
    }

    private func decide(
        _ request: JoinRequest, _ service: ClusterService, _ credentials: NodeCredentials
    ) async -> JoinDecision {
        let state = await service.effectiveState
        var tokens = JoinTokens(state: state)
        let standing: JoinerStanding =
            if state.removedMembers[request.node] != nil {
                .removed
            } else if let member = state.members[request.node] {
                .member(Fingerprint(hexadecimal: member.key))
            } else {
                .unknown
            }
        let desk = JoinDesk(authority: store.authority, cluster: credentials.cluster, versions: versions)
        let ruling = desk.decide(
            request, tokens: &tokens, standing: standing, peers: Self.peers(state, first: service.node), now: .current)
        guard case .granted(let grant) = ruling.decision else { return ruling.decision }
        var member = Member(
            node: request.node, name: request.name, addresses: request.addresses.map(\.description),
            role: grant.part == .worker ? .worker : .full)
        member.key = ruling.key?.description ?? ""
        let spent = ruling.spent.map { Command.Action.configure($0.settingName, $0.settingValue) }
        for action in [spent, .admit(member)].compactMap({ $0 }) {
            guard let refusal = await Self.perform(action, service) else { continue }
            return .refused(.unavailable(refusal))
        }
        return ruling.decision
    }

    /// Why the log did not take an action; nil when it did.
    private static func perform(_ action: Command.Action, _ service: ClusterService) async -> String? {
        do {
            guard case .refused(let refusal) = try await service.apply(action) else { return nil }
            return refusal.description
        } catch {
            return "\(error)"
        }
    }

    private static func peers(_ state: ClusterState, first: NodeID) -> [JoinPeer] {
        state.members.values.sorted { ($0.node == first ? 0 : 1, $0.node) < ($1.node == first ? 0 : 1, $1.node) }
            .map { member in
                JoinPeer(node: member.node, addresses: member.addresses.compactMap { try? ClusterAddress($0) })
            }
    }

    // Actors let others in while they wait; one decision must end before the next begins.
    private func enter() async {
        guard isDeciding else {
            isDeciding = true
            return
        }
        await withCheckedContinuation { turns.append($0) }
    }

    private func leave() {
        guard !turns.isEmpty else {
            isDeciding = false
            return
        }
        turns.removeFirst().resume()
    }
}

/// The cluster service, which begins to exist after those that use it.
final class LateService: Sendable {
    private let held = Mutex<ClusterService?>(nil)

    var value: ClusterService? {
        get { held.withLock { $0 } }
        set { held.withLock { $0 = newValue } }
    }
}

extension JoinTokens {
    /// The tokens as the log has them.
    init(state: ClusterState) {
        self.init(
            settings: state.settings.elements.compactMap { row in row.value.value.map { (name: row.key, value: $0) } })
    }
}
