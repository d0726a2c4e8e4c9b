import Gateway
import Vocabulary

@testable import Cluster

/// A cluster of one node without sockets or disk: the real brain behind the routes.
actor ScriptedCluster: ClusterViewing {
    nonisolated let life: UInt64 = 42
    private var brain: ControlPlane
    private var now = Instant(nanoseconds: 0)
    private var commands: UInt64 = 0
    private var changes: [ClusterChange] = []
    private var seen: ClusterView
    private(set) var drains: [NodeID] = []

    init() {
        let settings = ControlPlaneSettings(
            member: Member(node: NodeID(1), name: "one", addresses: ["10.0.0.1:7535"]), seed: 1, founds: true)
        brain = ControlPlane(settings: settings)
        seen = brain.view
    }

    func begin() {
        _ = give(.wallClock(1_700_000_000_000))
        for _ in 0..<50 { _ = give(.tick) }
        seen = brain.view
        changes = []
    }

    private func give(_ input: ControlPlane.Input) -> [Effects.Reply] {
        now = now.advanced(by: .milliseconds(50))
        var replies: [Effects.Reply] = []
        var inputs = [input]
        while !inputs.isEmpty {
            let effects = brain.handle(inputs.removeFirst(), now: now)
            replies += effects.replies
            if let stored = effects.storedPosition { inputs.append(.stored(index: stored.index, term: stored.term)) }
        }
        let view = brain.view
        changes += view.changes(since: seen)
        seen = view
        return replies
    }

    func currentView() -> ClusterView { brain.view }

    func apply(_ action: Command.Action) async throws -> CommandOutcome {
        commands += 1
        if case .drain(let node, _) = action { drains.append(node) }
        var replies = give(.command(number: commands, action))
        while replies.isEmpty { replies = give(.tick) }
        return replies[0].outcome
    }

    func updates(after number: UInt64?) -> (any AsyncSequence<ClusterUpdate, Never> & Sendable)? {
        let (stream, sink) = AsyncStream<ClusterUpdate>.makeStream()
        let last = UInt64(changes.count)
        if let number, number <= last {
            if number < last { sink.yield(.changes(last, Array(changes[Int(number)...]))) }
        } else {
            sink.yield(.snapshot(last, brain.view))
        }
        sink.finish()
        return stream
    }

    /// What is answered of models.
    private var listed: [ClusterModel] = []

    func list(_ models: [ClusterModel]) { listed = models }

    func models() -> [ClusterModel] { listed }

    func completed(_ wish: Deployment) -> Result<Deployment, CommandRefusal> {
        if wish.model == "several" { return .failure(CommandRefusal(.conflict, "It may mean several.")) }
        var wish = wish
        if wish.projector == "wide" {
            return .failure(CommandRefusal(.invalid, "The projector wide cannot be used: it makes rows of 320 floats."))
        }
        if wish.projector == "eyes" {
            (wish.digest, wish.projector) = (String(repeating: "ab", count: 32), String(repeating: "0f", count: 32))
        }
        if wish.model == "org/repo" { (wish.name, wish.sources) = ("repo-file", ["org/repo@v1:Q8_0"]) }
        return .success(wish)
    }

    func preview(_ deployment: Deployment) -> PlanPreview {
        let question = brain.planQuestion(for: deployment, now: now)
        return PlanPreview(question: question, answer: .refused(reason: "It needs 8 GiB, short by 7 GiB."))
    }

    /// What the next command about tokens is refused with.
    private var tokenRefusal: TokenRefusal?
    private var made: [TokenView] = []
    private(set) var wishes: [TokenWish] = []

    func refuseTokens(_ refusal: TokenRefusal?) { tokenRefusal = refusal }

    func createToken(_ wish: TokenWish) async throws(TokenRefusal) -> CreatedToken {
        if let tokenRefusal { throw tokenRefusal }
        guard (1...1000).contains(wish.uses) else {
            throw .invalid("A join token has 1 to 1000 uses, not \(wish.uses); choose another --uses.")
        }
        wishes.append(wish)
        let token = TokenView(
            id: "0000000\(made.count)", state: .valid, uses: wish.uses, usesLeft: wish.uses,
            isForWorkers: wish.isForWorkers, created: 1_700_000_000, expires: 1_700_000_000 + wish.lifeSeconds)
        made.append(token)
        return CreatedToken(token: token, line: "skein join skein1:10.0.0.1:7535:ab:SECRET")
    }

    func tokens() async throws(TokenRefusal) -> [TokenView] {
        if let tokenRefusal { throw tokenRefusal }
        return made
    }

    func revokeToken(_ id: String) async throws(TokenRefusal) {
        if let tokenRefusal { throw tokenRefusal }
        guard let place = made.firstIndex(where: { $0.id == id }) else {
            throw .notFound("There is no join token \(id); see skein token list.")
        }
        made[place].state = .revoked
    }
}
