package import Cluster
package import Vocabulary

/// The cluster as the HTTP API sees it: what this node knows, and where wishes go.
package protocol ClusterViewing: Sendable {
    /// Number of this node's life; part of the identity of every change.
    var life: UInt64 { get }

    /// What this node knows now.
    func currentView() async -> ClusterView

    /// Carries a command out, wherever the leader is, and waits for its outcome.
    ///
    /// **Throws:** when this node stops.
    func apply(_ action: Command.Action) async throws -> CommandOutcome

    /// The changes behind a number, beginning with everything when they are no longer kept; nil when too many watch.
    func updates(after number: UInt64?) async -> (any AsyncSequence<ClusterUpdate, Never> & Sendable)?

    /// A wish with what only this node knows: which content its model's name means. A wish without a name of its own
    /// gets the model's.
    func completed(_ wish: Deployment) async -> Result<Deployment, CommandRefusal>

    /// The models the cluster has: its deployments, and the files of its members.
    func models() async -> [ClusterModel]

    /// What would become of a wish now; nothing is decided.
    func preview(_ deployment: Deployment) async -> PlanPreview

    /// Makes a join token, wherever the leader is; the answer is the only place its secret ever is.
    ///
    /// **Throws:** `TokenRefusal.invalid` for a life or a number of uses out of bounds, `full` when there are as many
    /// as there may be, `unavailable` or `command` when it cannot be decided now.
    func createToken(_ wish: TokenWish) async throws(TokenRefusal) -> CreatedToken

    /// The join tokens, those that are good for nothing any more included, ordered by id.
    ///
    /// **Throws:** `TokenRefusal.unavailable` when this node cannot know them.
    func tokens() async throws(TokenRefusal) -> [TokenView]

    /// Takes a join token back; one that was taken back already stays so.
    ///
    /// **Throws:** `TokenRefusal.notFound` for an id of no token, also for a text that is none.
    func revokeToken(_ id: String) async throws(TokenRefusal)
}

/// A model some member has, or the cluster serves.
package struct ClusterModel: Hashable, Sendable {
    /// How names find it.
    package var named: NamedModel
    /// State of its deployment, or `available`.
    package var state: String
    /// Members that have its whole file and answer, by id.
    package var holders: [NodeID]

    /// Describes a model.
    package init(named: NamedModel, state: String, holders: [NodeID]) {
        self.named = named
        self.state = state
        self.holders = holders
    }
}

/// What would become of a wish: the question the leader would ask, and the planner's answer.
package struct PlanPreview: Sendable {
    /// Who could take part, and who not.
    package let question: PlanQuestion
    /// What the planner says.
    package let answer: PlanAnswer

    /// Puts the two together.
    package init(question: PlanQuestion, answer: PlanAnswer) {
        self.question = question
        self.answer = answer
    }
}
