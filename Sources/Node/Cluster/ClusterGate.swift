package import Cluster
import Fabric
package import Gateway

/// The cluster service as the HTTP API sees it. A wish to deploy is completed with the digest of the model's file
/// before it enters the log, because a name or a path means something on this node only.
package struct ClusterGate: ClusterViewing {
    private let service: ClusterService
    private let library: ModelLibrary
    private let office: TokenOffice
    private let peers: PeerClient

    /// Opens a node's part in the cluster to the API.
    init(_ node: ClusterNode) {
        service = node.service
        library = node.library
        peers = node.peers
        office = TokenOffice(service: node.service, security: node.security)
    }

    /// See `ClusterViewing`.
    package var life: UInt64 { service.life }

    /// See `ClusterViewing`.
    package func currentView() async -> ClusterView { await service.view }

    /// See `ClusterViewing`.
    ///
    /// **Throws:** `ClusterServiceError.stopped`.
    package func apply(_ action: Command.Action) async throws -> CommandOutcome {
        if case .remove(let node) = action, node == service.node { return try await leave() }
        guard case .deploy(let wish) = action else { return try await service.apply(action) }
        switch await completed(wish) {
        case .success(let deployment): return try await service.apply(.deploy(deployment))
        case .failure(let refusal): return .refused(refusal)
        }
    }

    /// Removes this node. The log does not tell a node of its own removal, so the leader's node is asked.
    private func leave() async throws -> CommandOutcome {
        guard let leader = await service.view.leadership.leader, leader != service.node else {
            return try await service.apply(.remove(service.node))
        }
        do throws(PeerError) {
            return try await peers.post("leave", [String: String](), to: leader, as: LeaveReply.self).outcome
        } catch {
            return .refused(CommandRefusal(.unanswered, "The leader cannot be asked (\(error)); try again."))
        }
    }

    /// See `ClusterViewing`.
    package func updates(after number: UInt64?) async -> (any AsyncSequence<ClusterUpdate, Never> & Sendable)? {
        service.watch(after: number)
    }

    /// See `ClusterViewing`.
    package func preview(_ wish: Deployment) async -> PlanPreview {
        var deployment = wish
        var refused: PlanAnswer?
        switch await completed(wish) {
        case .success(let complete): deployment = complete
        case .failure(let refusal): refused = .refused(reason: refusal.description)
        }
        let (question, answer) = await service.preview(deployment)
        return PlanPreview(question: question, answer: refused ?? answer)
    }

    /// See `ClusterViewing`.
    ///
    /// **Throws:** `TokenRefusal`.
    package func createToken(_ wish: TokenWish) async throws(TokenRefusal) -> CreatedToken {
        try await office.create(wish)
    }

    /// See `ClusterViewing`.
    ///
    /// **Throws:** nothing; the tokens are settings every node knows.
    package func tokens() async throws(TokenRefusal) -> [TokenView] { await office.all() }

    /// See `ClusterViewing`.
    ///
    /// **Throws:** `TokenRefusal`.
    package func revokeToken(_ id: String) async throws(TokenRefusal) { try await office.revoke(id) }

    private func completed(_ wish: Deployment) async -> Result<Deployment, CommandRefusal> {
        var wish = wish
        if let draft = wish.draftDigest {
            do throws(LibraryError) {
                wish.draft = try await library.resolve(draft).digest
            } catch {
                return .failure(CommandRefusal(.notFound, "The draft model: \(error.description)"))
            }
        }
        var deployment = wish
        guard wish.digest.isEmpty else {
            deployment.blocks = await library.root(ofBlocksOf: wish.digest)
            return .success(deployment)
        }
        do throws(LibraryError) {
            deployment.digest = try await library.resolve(wish.model).digest
            deployment.blocks = await library.root(ofBlocksOf: deployment.digest)
            await service.measureNow()
            return .success(deployment)
        } catch {
            // Deployed before from another node, the cluster knows what the name means.
            let known = await service.state.deployments.values.first { $0.model == wish.model && !$0.digest.isEmpty }
            if let known {
                (deployment.digest, deployment.blocks) = (known.digest, known.blocks)
                return .success(deployment)
            }
            return .failure(CommandRefusal(.notFound, error.description))
        }
    }
}
