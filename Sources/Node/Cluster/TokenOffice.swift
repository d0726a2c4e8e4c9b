import Cluster
import Fabric
import Gateway
import Identity
import Vocabulary

/// Makes join tokens, lists them and takes them back; they are settings of the cluster, so any node can.
struct TokenOffice: Sendable {
    let service: ClusterService
    let security: ClusterSecurity

    func create(_ wish: TokenWish) async throws(TokenRefusal) -> CreatedToken {
        let state = await service.effectiveState
        let now = WallTime.current
        var tokens = JoinTokens(state: state)
        for id in tokens.sweep(now: now) { try await configure(JoinToken.settingPrefix + id.description, nil) }
        let addresses = Self.addresses(state, first: service.node)
        let made: (token: JoinToken, secret: JoinSecret)
        do throws(JoinTokenError) {
            made = try tokens.create(
                life: .seconds(wish.lifeSeconds), uses: wish.uses, part: wish.isForWorkers ? .worker : .member, now: now
            )
        } catch {
            throw Self.refusal(error)
        }
        let ticket = try Self.ticket(addresses, security.credentials.authority.fingerprint, made.secret)
        try await configure(made.token.settingName, made.token.settingValue)
        return CreatedToken(token: TokenView(made.token, now: now), line: "skein join \(ticket.text)")
    }

    func all() async -> [TokenView] {
        let now = WallTime.current
        return JoinTokens(state: await service.effectiveState).tokens.map { TokenView($0, now: now) }
    }

    func revoke(_ text: String) async throws(TokenRefusal) {
        var tokens = JoinTokens(state: await service.effectiveState)
        guard let id = JoinTokenID(text) else {
            throw .notFound("There is no join token '\(text.prefix(64))'; 'skein token list' shows them.")
        }
        let revoked: JoinToken
        do throws(JoinTokenError) { revoked = try tokens.revoke(id) } catch { throw Self.refusal(error) }
        try await configure(revoked.settingName, revoked.settingValue)
    }

    private func configure(_ name: String, _ value: String?) async throws(TokenRefusal) {
        let outcome: CommandOutcome
        do { outcome = try await service.apply(.configure(name, value)) } catch { throw .unavailable("\(error)") }
        if case .refused(let refusal) = outcome { throw .command(refusal) }
    }

    /// This node's addresses first, then one of each other member.
    private static func addresses(_ state: ClusterState, first node: NodeID) -> [ClusterAddress] {
        let own = state.members[node]?.addresses ?? []
        let others = state.members.values.filter { $0.node != node && $0.role != .worker }
            .compactMap { PeerAddress.ranked($0.addresses, worked: nil).first.map { "\($0)" } }
        let room = Identity.Limits.ticketAddresses
        let texts = own.prefix(others.isEmpty ? room : room / 2) + others
        return texts.prefix(room).compactMap { try? ClusterAddress($0) }
    }

    private static func ticket(
        _ addresses: [ClusterAddress], _ authority: Fingerprint, _ secret: JoinSecret
    ) throws(TokenRefusal) -> JoinTicket {
        do throws(JoinTicketError) {
            return try JoinTicket(addresses: addresses, authority: authority, secret: secret)
        } catch {
            throw .unavailable("This node has no address others could reach it at: \(error)")
        }
    }

    private static func refusal(_ error: JoinTokenError) -> TokenRefusal {
        switch error {
        case .life, .uses: .invalid("\(error)")
        case .full: .full("\(error)")
        case .unknown: .notFound("\(error)")
        }
    }
}

extension TokenView {
    /// A token as it may be shown.
    init(_ token: JoinToken, now: WallTime) {
        let state: State =
            token.isRevoked ? .revoked : now >= token.expires ? .expired : token.usesLeft == 0 ? .usedUp : .valid
        self.init(
            id: token.id.description, state: state, uses: token.uses, usesLeft: token.usesLeft,
            isForWorkers: token.part == .worker, created: token.created.milliseconds / 1000,
            expires: token.expires.milliseconds / 1000)
    }
}
