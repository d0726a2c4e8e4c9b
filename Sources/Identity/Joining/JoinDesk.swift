import Cluster

/// What the cluster knows about a node that asks to join.
package enum JoinerStanding: Hashable, Sendable {
    /// Nothing: a new node.
    case unknown
    /// It is a member, with this key when the cluster remembers keys.
    case member(Fingerprint?)
    /// It was removed, and can come back as a new node only.
    case removed
}

/// Decides requests to join: a pure function of the request, the tokens and what is known of the node.
///
/// It runs where the tokens are spent, which is the leader's node; a node that is not the leader passes requests on.
package struct JoinDesk: Sendable {
    /// Issues certificates; nil on nodes without a copy of the cluster's key.
    package let authority: ClusterAuthority?
    /// The cluster.
    package let cluster: ClusterID
    /// Release and protocols of this side.
    package let versions: JoinVersions

    /// Makes a desk.
    package init(authority: ClusterAuthority?, cluster: ClusterID, versions: JoinVersions) {
        self.authority = authority
        self.cluster = cluster
        self.versions = versions
    }

    /// A decision, and what must last before it is told to anybody.
    package struct Ruling: Hashable, Sendable {
        /// What the joiner is told.
        package let decision: JoinDecision
        /// The token that was spent, to be written to its setting first; nil when nothing changed.
        package let spent: JoinToken?
        /// The key of the node that joins, to be remembered with its membership; nil when it does not join.
        package let key: Fingerprint?
    }

    /// Decides one request.
    ///
    /// The secret is judged before anything about nodes is told, and spent only when everything else is in order.
    package func decide(
        _ request: JoinRequest, tokens: inout JoinTokens, standing: JoinerStanding, peers: [JoinPeer], now: WallTime,
        entropy: Entropy = .system
    ) -> Ruling {
        do throws(JoinRefusal) {
            guard versions.common(with: request.versions) != nil else {
                throw .unsupportedVersion(joiner: request.versions, cluster: versions)
            }
            guard request.clock.agrees(with: now) else { throw .clockOff(joiner: request.clock, cluster: now) }
            guard let authority else { throw .cannotIssue }
            let key = try Self.wrap { () throws(IdentityError) in
                try ClusterAuthority.key(of: request.signingRequest, for: request.node)
            }
            var spent = tokens
            let token: JoinToken
            switch spent.redeem(request.secret, key: key, now: now) {
            case .granted(let granted): token = granted
            case .refused(let refusal): throw refusal
            }
            if let presented = request.cluster, presented != cluster {
                throw .wrongCluster(expected: cluster, presented: presented)
            }
            try Self.judge(standing, node: request.node, key: key)
            let certificate = try Self.wrap { () throws(IdentityError) in
                try authority.issue(request.signingRequest, for: request.node, now: now, entropy: entropy)
            }
            let part = token.part == .worker ? .worker : request.part
            let grant = JoinGrant(
                certificate: certificate.der, part: part, authorityKey: part == .worker ? nil : authority.keyDER,
                peers: peers)
            let changed = spent != tokens
            tokens = spent
            return Ruling(decision: .granted(grant), spent: changed ? token : nil, key: key)
        } catch {
            return Ruling(decision: .refused(error), spent: nil, key: nil)
        }
    }

    private static func judge(
        _ standing: JoinerStanding, node: NodeID, key: Fingerprint
    ) throws(JoinRefusal) {
        switch standing {
        case .unknown, .member(nil): return
        case .member(let known?): if known != key { throw .identityTaken(node) }
        case .removed: throw .nodeRemoved(node)
        }
    }

    private static func wrap<Value>(_ body: () throws(IdentityError) -> Value) throws(JoinRefusal) -> Value {
        do { return try body() } catch {
            switch error {
            case .signingRequest(let finding): throw .malformed("the signing request is refused because \(finding)")
            default: throw .unavailable(error.description)
            }
        }
    }
}

/// Carries a request to where it can be decided, and makes the decision last.
///
/// The implementation MUST write `Ruling.spent` and admit the node with `Ruling.key` before it answers `granted`, so
/// that a certificate in somebody's hands is never news to the cluster. It SHOULD answer `unavailable` rather than wait
/// longer than a few seconds.
package protocol JoinAuthorizing: Sendable {
    /// Decides a request.
    func answer(_ request: JoinRequest) async -> JoinDecision
}
