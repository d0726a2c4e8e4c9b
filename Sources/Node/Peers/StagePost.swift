import Cluster
import Serving
import Vocabulary
import Wire

/// What other nodes need to know of a stage to reach its runner.
struct StagePost: Sendable, Codable {
    /// Identity of the cluster, as runners check it.
    var cluster: String
    /// Identity of the placement, as runners check it.
    var placement: String
    /// Epoch of the placement.
    var epoch: Epoch
    /// Which stage it is.
    var stage: Int
    /// The layers of all stages.
    var stages: [LayerRange]
    /// The model, as clients see it.
    var card: ModelCard
    /// Width of a row between stages.
    var width: Int
    /// How rows travel.
    var wire: String
    /// Port of the runner for other machines.
    var port: Int
    /// What the stage's steps cost; nil when they could not be timed.
    var costs: StepCosts?
    /// Whether the stage keeps sequences on disk; nil is no, also from releases that cannot.
    var archives: Bool?
    /// What is known of the model's own head for several tokens on a last stage; nil where none is asked.
    var heads: HeadFacts?
    /// Whether the runner passes on what is wished of a last stage's head; nil is no, from releases that cannot.
    var passesWishes: Bool?
    /// Whether the stage may leave a prompt's rows between its layers; nil is no, from releases that cannot.
    var pauses: Bool?

    /// The hello of a node to the stage's runner; nil when digest, stage or wire format are none.
    var hello: Hello? {
        guard let digest = ModelDigest(hexadecimal: card.digest), stages.indices.contains(stage),
            let format = WireFormat.allCases.first(where: { $0.description == wire })
        else { return nil }
        return Hello(
            cluster: cluster, placement: placement, epoch: epoch, role: .control, sender: nil,
            receiver: StagePlace(index: stage, layers: stages[stage]), model: digest, width: width, format: format)
    }
}

/// What the entry stage's node tells the node of another stage: where its runner's links go. Addresses are found by
/// who dials, since a node may be reached differently from each.
struct StageConnect: Sendable, Codable {
    /// The node of the next stage; nil for the last one.
    var next: UInt64?
    /// The node of the entry stage.
    var entry: UInt64
    /// Costs of all stages; nil when one has none.
    var costs: [StepCosts]?
}

/// What a node tells of a model whose file it has.
struct ModelSheet: Sendable, Codable {
    /// Name people gave the file.
    var name: String
    /// Length of the file. **Units:** bytes.
    var byteCount: UInt64
    /// Where its tensor data begins. **Units:** bytes.
    var dataOffset: UInt64
    /// Root of the digests of its blocks; nil from releases that make none.
    var blocks: String?
    /// Where it comes from; nil from releases that do not ask.
    var sources: [String]?
    /// How its weights are stored; nil from releases that do not tell.
    var quantization: String?
    /// Whether it is no model but a projector; nil is no.
    var isProjector: Bool?
    /// Digest of the projector with which the member itself serves the model; nil when it does not.
    var projector: String?
}

/// Bounds of what members ask each other.
enum PeerLimits {
    /// Longest body of a request. **Units:** bytes.
    static let bodyBytes = 256 << 10
    /// Longest body of an answer that is kept in memory. **Units:** bytes.
    static let answerBytes = 1 << 20
    /// Longest header of a model: what is in front of its tensor data. **Units:** bytes.
    static let headerBytes: UInt64 = 256 << 20
    /// Bytes of a model asked for in one request.
    static let rangeBytes: UInt64 = 64 << 20
    /// Addresses of a member that are tried.
    static let addresses = 8
    /// Time to connect to a member. **Units:** seconds.
    static let connectSeconds: Int64 = 3
    /// Time a member may take for a short answer. **Units:** seconds.
    static let answerSeconds: Int64 = 20
    /// Time in which something of an answer must come. **Units:** seconds.
    static let silenceSeconds: Int64 = 30
    /// Time a range of a model may take. **Units:** seconds.
    static let rangeSeconds: Int64 = 600
    /// Time that answers under way have to end when the node shuts down.
    static let farewell = Duration.seconds(1)
    /// Connections waiting to be accepted.
    static let backlog = 128
    /// Connections of other members at once.
    static let connections = 512
    /// Time a connection may be idle. **Units:** seconds.
    static let idleSeconds: Int64 = 60
}

extension Epoch {
    /// `TERM-NUMBER`, as it stands in paths.
    var pathText: String { "\(term)-\(number)" }

    /// Reads `TERM-NUMBER`; nil for other text.
    init?(pathText: String) {
        let parts = pathText.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let term = UInt64(parts[0]), let number = UInt64(parts[1]) else { return nil }
        self.init(term: term, number: number)
    }
}
