package import Cluster
package import Fabric
package import Gateway

/// The cluster service as the HTTP API sees it.
package struct ClusterGate: ClusterViewing {
    private let service: ClusterService

    /// Opens a service to the API.
    package init(_ service: ClusterService) { self.service = service }

    /// See `ClusterViewing`.
    package var life: UInt64 { service.life }

    /// See `ClusterViewing`.
    package func currentView() async -> ClusterView { await service.view }

    /// See `ClusterViewing`.
    ///
    /// **Throws:** `ClusterServiceError.stopped`.
    package func apply(_ action: Command.Action) async throws -> CommandOutcome { try await service.apply(action) }

    /// See `ClusterViewing`.
    package func updates(after number: UInt64?) async -> (any AsyncSequence<ClusterUpdate, Never> & Sendable)? {
        service.watch(after: number)
    }

    /// See `ClusterViewing`.
    package func preview(_ deployment: Deployment) async -> PlanPreview {
        let (question, answer) = await service.preview(deployment)
        return PlanPreview(question: question, answer: answer)
    }

    private static let noCluster = TokenRefusal.unavailable(
        "This node belongs to no cluster yet; ask a node that does.")

    /// See `ClusterViewing`.
    ///
    /// **Throws:** `TokenRefusal`.
    package func createToken(_ wish: TokenWish) async throws(TokenRefusal) -> CreatedToken { throw Self.noCluster }

    /// See `ClusterViewing`.
    ///
    /// **Throws:** `TokenRefusal`.
    package func tokens() async throws(TokenRefusal) -> [TokenView] { throw Self.noCluster }

    /// See `ClusterViewing`.
    ///
    /// **Throws:** `TokenRefusal`.
    package func revokeToken(_ id: String) async throws(TokenRefusal) { throw Self.noCluster }
}
