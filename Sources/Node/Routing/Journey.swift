import Cluster
import Vocabulary

/// A request's search for what serves its deployment, from one look to the next.
struct Journey: Sendable {
    /// How long a request waits for a deployment that is not placed. **Units:** seconds.
    private static let patienceSeconds = 120
    /// How long it waits for one that is being fetched or loaded: a large model takes its time. **Units:** seconds.
    private static let loadingSeconds = 900

    /// The deployment.
    let name: String
    /// The model's content where that is known beside the name; a deployment is made of it when the name means nothing.
    let digest: String?
    /// What the request may do about it.
    let residency: Residency?
    /// Models of this node alone, for the answer that there is none of this name.
    let ownNames: [String]
    /// When its client's time is up; nil for one that gives it as much as it needs.
    var end: ContinuousClock.Instant?
    private let began = ContinuousClock.now
    /// How often the cluster was asked to wake or make it.
    var demands = 0
    /// Why the last placement could not be reached.
    var failure = ""
    /// Whether somebody had deployed it, and not a request: what they take away meanwhile does not come back by itself.
    var wasDeployed = false
    private var told = ""

    init(to name: String, digest: String? = nil, residency: Residency?, ownNames: [String]) {
        self.name = name
        self.digest = digest
        self.residency = residency
        self.ownNames = ownNames
    }

    /// The same search from its beginning.
    var anew: Journey {
        var journey = Journey(to: name, digest: digest, residency: residency, ownNames: ownNames)
        journey.end = end
        return journey
    }

    /// Until when it is worth waiting.
    func deadline(_ state: DeploymentView.State?) -> ContinuousClock.Instant {
        let isOnItsWay = state == .fetching || state == .loading
        return began + .seconds(isOnItsWay ? Self.loadingSeconds : Self.patienceSeconds)
    }

    /// A phrase that was not told before; nil when there is no news.
    mutating func news(_ phrase: String?) -> String? {
        guard let phrase, phrase != told else { return nil }
        told = phrase
        return phrase
    }
}

/// Where a request is on its way.
enum RouteStep: Sendable {
    /// It is sent there.
    case arrived(ControlLink)
    /// It waits; its client may be told why.
    case preparing(String)
}

extension ClusterView {
    /// How far a deployment is that is being fetched or loaded, for people; nil when it is not.
    func progress(of deployment: DeploymentView) -> String? {
        guard deployment.state == .fetching || deployment.state == .loading,
            let placement = deployment.placements.last(where: { $0.phase < .active })
        else { return nil }
        let loaded = placement.stages.count { stage in
            let reports = members.first { $0.member.node == stage.node }?.reading?.stages ?? []
            return reports.contains { $0.epoch == placement.epoch && ($0.status == .loaded || $0.status == .proven) }
        }
        let number = min(loaded + 1, placement.stages.count)
        var text = "\(deployment.state == .fetching ? "fetching" : "loading") model \(deployment.deployment.name)"
        text += ": stage \(number) of \(placement.stages.count)"
        if let progress = deployment.progress, progress > 0 { text += ", \(progress / 10) %" }
        return text
    }
}
