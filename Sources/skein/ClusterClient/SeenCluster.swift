/// A cluster as a node's answers tell it.
struct SeenCluster: Hashable, Sendable {
    /// The node that answered.
    var node: String
    /// Nil before the node belongs to one.
    var cluster: String?
    var leadership: SeenLeadership
    var nodes: [SeenNode]
    var deployments: [SeenDeployment]
    var warnings: [String]

    /// How a node is called in texts: by its name when it has one, else by its id.
    func name(of id: String) -> String {
        guard let node = nodes.first(where: { $0.id == id }), !node.name.isEmpty else { return id }
        // Two nodes of one name would be taken for one.
        return nodes.count { $0.name == node.name } > 1 ? "\(node.name) (\(id))" : node.name
    }
}

/// Who decides.
struct SeenLeadership: Hashable, Sendable {
    var term: UInt64
    var leader: String?
    var isDegraded: Bool
    var voters: [String]
    /// `embedded`, or where the coordinator is.
    var coordinator = "embedded"
}

/// A machine of the cluster.
struct SeenNode: Hashable, Sendable {
    var id: String
    var name: String
    var addresses: [String]
    var tags: [String]
    var role: String
    var isDraining: Bool
    /// `alive`, `suspect`, `dead` or `left`.
    var liveness: String
    /// What stages may take. **Units:** bytes; nil while unknown.
    var usableBytes: UInt64?
    var totalBytes: UInt64?
    /// How fast it reads weights. **Units:** bytes per second; nil while unknown.
    var weightBytesPerSecond: UInt64?

    /// What it is, apart from what it measures: two that differ here differ for people.
    var standing: [String] { [name, role, liveness, isDraining ? "draining" : ""] + addresses + tags }
}

/// A model that a node lists.
struct SeenModel: Hashable, Sendable {
    var name: String
    /// `ready`, or what keeps it from answering.
    var state: String
}

/// What is wanted, and how far it is.
struct SeenDeployment: Hashable, Sendable {
    var name: String
    var model: String
    var replicas: UInt64
    var state: String
    var reason: String
    /// **Units:** thousandths; nil when nothing is on its way.
    var progress: UInt64?
    var placements: [SeenPlacement]
}

/// A replica in one epoch.
struct SeenPlacement: Hashable, Sendable {
    var replica: UInt64
    var epoch: String
    /// `loading`, `canary`, `active` or `draining`.
    var phase: String
    var contextTokens: UInt64?
    var lanes: UInt64?
    var stages: [SeenStage]
}

/// Layers on a node.
struct SeenStage: Hashable, Sendable {
    var node: String
    var firstLayer: UInt64
    var endLayer: UInt64
    var bytes: UInt64
    /// What of it is for a projector.
    var projectorBytes: UInt64 = 0
}

/// What would become of a wish.
struct SeenPreview: Hashable, Sendable {
    var fits: Bool
    /// Why it does not fit.
    var reason: String
    var contextTokens: UInt64?
    var lanes: UInt64?
    var stages: [SeenStage]
    /// Nil when the node told none.
    var forecast: SeenForecast?
    var candidates: [SeenCandidate]
    var excluded: [SeenExclusion]
}

/// How fast a placement is predicted to be.
struct SeenForecast: Hashable, Sendable {
    /// What is predicted of a stage, and from what.
    struct Stage: Hashable, Sendable {
        var tokenMicroseconds: UInt64
        var readBytes: UInt64
        var bytesPerSecond: UInt64
        var cacheMicroseconds: UInt64
        /// Nil behind the last stage.
        var hopMicroseconds: UInt64?
    }

    /// False when too much of it rests on figures nobody measured: then it only orders placements.
    var isMeasured: Bool
    var tokenMicroseconds: UInt64
    /// What of it rests on such figures.
    var assumedMicroseconds: UInt64
    var firstTokenMicroseconds: UInt64?
    var promptTokens: UInt64?
    var stages: [Stage]
}

/// A node that could take part.
struct SeenCandidate: Hashable, Sendable {
    var id: String
    var name: String
    var usableBytes: UInt64?
    var promisedBytes: UInt64?
}

/// A node that cannot take part.
struct SeenExclusion: Hashable, Sendable {
    var id: String
    var code: String
    var reason: String
}

/// A permission to join, without its secret.
struct SeenToken: Hashable, Sendable {
    var id: String
    /// `valid`, `expired`, `used_up` or `revoked`.
    var state: String
    var uses: UInt64
    var usesLeft: UInt64
    var isForWorkers: Bool
    /// **Units:** seconds since 1970.
    var expires: Int64
}
