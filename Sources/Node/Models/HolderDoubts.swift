import Cluster

/// Members that told or sent something wrong of a model: they are not asked for it again for a while, so that whoever
/// mends the file there needs to tell nobody.
struct HolderDoubts: Sendable {
    private struct Doubt: Sendable {
        var node: NodeID
        var digest: String
        var until: ContinuousClock.Instant
    }

    /// Doubts that are kept; the oldest goes first.
    private static let limit = 256
    /// How long a member is not asked again. **Units:** seconds.
    static let seconds: Int64 = 600

    private var doubts: [Doubt] = []

    /// Whether a member may be asked for a model.
    func mayAsk(_ node: NodeID, for digest: String, now: ContinuousClock.Instant) -> Bool {
        !doubts.contains { $0.node == node && $0.digest == digest && $0.until > now }
    }

    /// Notes that a member was wrong about a model.
    mutating func note(_ node: NodeID, about digest: String, now: ContinuousClock.Instant) {
        doubts.removeAll { $0.until <= now || $0.node == node && $0.digest == digest }
        if doubts.count >= Self.limit { doubts.removeFirst() }
        doubts.append(Doubt(node: node, digest: digest, until: now + .seconds(Self.seconds)))
    }
}
