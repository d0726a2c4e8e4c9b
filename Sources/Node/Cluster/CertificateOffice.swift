import Cluster
import Fabric
import Identity
import Logging
import Vocabulary

/// Renews certificates: those of members that ask this node, and this node's own in good time.
struct CertificateOffice: Sendable {
    /// Time between looks at the own certificate. **Units:** seconds.
    private static let lookSeconds = 600

    let store: IdentityStore
    let security: ClusterSecurity
    let service: LateService
    let peers: PeerClient
    /// Called when the own certificate was renewed.
    let renewed: @Sendable () -> Void
    let logger: Logger

    /// Answers a member that asks for its next certificate.
    func renew(_ request: RenewalRequest, for peer: PeerIdentity) async -> RenewalReply {
        guard let authority = store.authority else { return .cannotIssue }
        guard await isMember(peer.node) else {
            return .refused("Node \(peer.node) is no member of the cluster.")
        }
        return authority.renew(request, for: peer, now: .current)
    }

    /// Also one that was admitted without a majority; but none that the majority removed.
    private func isMember(_ node: NodeID) async -> Bool {
        guard let service = service.value, await service.state.removedMembers[node] == nil else { return false }
        return await service.effectiveState.members[node] != nil
    }

    /// Keeps the own certificate valid until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            if security.credentials.needsRenewal(now: .current) { await renewOwn() }
            try? await Task.sleep(for: .seconds(Self.lookSeconds))
        }
    }

    private func renewOwn() async {
        let old = security.credentials
        do {
            let request = try RenewalRequest(node: old.node, key: old.key)
            let fresh = try old.renewed(by: try await certificate(for: request, old))
            try store.replace(fresh)
            try security.replace(fresh)
            renewed()
            logger.info("the certificate was renewed", metadata: ["until": "\(fresh.certificate.identity.notAfter)"])
        } catch {
            logger.warning(
                "the certificate could not be renewed",
                metadata: ["until": "\(old.certificate.identity.notAfter)", "why": "\(error)"])
        }
    }

    private func certificate(for request: RenewalRequest, _ old: NodeCredentials) async throws -> [UInt8] {
        if let authority = store.authority {
            return try authority.issue(request.signingRequest, for: old.node, now: .current).der
        }
        var reasons: [String] = []
        let members = await service.value?.effectiveState.members.keys ?? []
        for member in members where member != old.node {
            do {
                switch try await peers.post("renew", request, to: member, as: RenewalReply.self) {
                case .renewed(let certificate): return certificate
                case .cannotIssue: reasons.append("node \(member) cannot issue certificates")
                case .refused(let reason): reasons.append("node \(member): \(reason)")
                }
            } catch {
                reasons.append("\(error)")
            }
        }
        throw RenewalFailure(reasons: reasons)
    }
}

/// Why nobody renewed the own certificate.
private struct RenewalFailure: Error, CustomStringConvertible {
    let reasons: [String]

    var description: String {
        reasons.isEmpty ? "the cluster has no other member" : reasons.prefix(4).joined(separator: "; ")
    }
}
