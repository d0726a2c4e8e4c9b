import Cluster
import Vocabulary

/// The models a cluster has, by name: files of this node, and what other members tell of theirs.
///
/// Members tell digests by gossip. The name of one is asked for once; it cannot change without its digest.
actor ModelCatalogue {
    /// A model some member has.
    struct Entry: Sendable, Hashable {
        var name: String
        var digest: String
        /// Where its file comes from.
        var sources: [ModelSource] = []
        /// How its weights are stored; empty where nobody says.
        var quantization = ""
        /// Whether it is a file of this node.
        var isHere = false
        /// Whether it is no model but a projector.
        var isProjector = false

        /// The model as names find it.
        var named: NamedModel {
            NamedModel(
                id: name, standing: isHere ? .local : .remote, sources: sources,
                quantization: quantization == "unknown" ? "" : quantization, digest: digest)
        }
    }

    /// What was told of where a file comes from, as far as it can be read.
    static func sources(_ texts: [String]?) -> [ModelSource] {
        (texts ?? []).prefix(ModelSource.countLimit).compactMap { try? ModelSource($0) }
    }

    /// The texts of sources, each once and no more than are kept.
    static func texts(_ told: [String]) -> [String] {
        var seen: Set<String> = []
        return Array(told.filter { seen.insert($0).inserted }.prefix(ModelSource.countLimit))
    }

    /// Models of other members whose names are kept.
    private static let nameLimit = 1024
    /// Models whose names are asked for at once.
    private static let questionLimit = 8
    /// How long a member may take to tell a name. **Units:** seconds.
    private static let answerSeconds: Int64 = 3
    /// A name nobody told is asked for again after this. **Units:** seconds.
    private static let retrySeconds = 15

    private let library: ModelLibrary
    private let peers: PeerClient
    private var names: [String: Entry] = [:]
    private var failures: [String: ContinuousClock.Instant] = [:]

    init(library: ModelLibrary, peers: PeerClient) {
        self.library = library
        self.peers = peers
    }

    /// The models the cluster has, this node's own first. Several may have the same name.
    func entries(_ view: ClusterView) async -> [Entry] { await files(view).filter { !$0.isProjector } }

    /// The projectors the cluster has, likewise.
    func projectors(_ view: ClusterView) async -> [Entry] { await files(view).filter(\.isProjector) }

    private func files(_ view: ClusterView) async -> [Entry] {
        var entries = await library.known
        let others = foreign(view, without: Set(entries.map(\.digest)))
        await learn(others, view)
        entries += others.compactMap { names[$0] }
        return entries.filter { !$0.name.isEmpty }
    }

    /// The model with a digest, else the first one with a name; nil when nobody has it. A path means nothing here: only
    /// who may change this machine takes files in.
    func find(_ name: String, digest: String?, _ view: ClusterView) async -> Entry? {
        let entries = await entries(view)
        return entries.first { $0.digest == digest } ?? entries.first { $0.name == name || $0.digest == name }
    }

    private func foreign(_ view: ClusterView, without own: Set<String>) -> [String] {
        var digests: Set<String> = []
        for member in view.members where member.liveness == .alive && member.member.node != view.node {
            // Files are kept under these names.
            digests.formUnion((member.reading?.holds ?? []).filter { Hexadecimal.isDigest($0) })
        }
        return digests.subtracting(own).sorted()
    }

    private func learn(_ digests: [String], _ view: ClusterView) async {
        let now = ContinuousClock.now
        failures = failures.filter { $0.value > now }
        let unknown = digests.filter { names[$0] == nil && failures[$0] == nil }.prefix(Self.questionLimit)
        guard !unknown.isEmpty else { return }
        let told = await withTaskGroup(of: (String, Entry?).self) { group in
            for digest in unknown {
                let holder = view.holders(of: digest).first
                group.addTask { [peers] in (digest, await Self.entry(of: digest, at: holder, peers)) }
            }
            var told: [(String, Entry?)] = []
            for await answer in group { told.append(answer) }
            return told
        }
        for (digest, entry) in told {
            if names.count >= Self.nameLimit { names = [:] }
            if let entry { names[digest] = entry } else { failures[digest] = now + .seconds(Self.retrySeconds) }
        }
    }

    private static func entry(of digest: String, at holder: NodeID?, _ peers: PeerClient) async -> Entry? {
        guard let holder else { return nil }
        let sheet = try? await peers.get(
            "models/\(digest)", of: holder, as: ModelSheet.self, seconds: answerSeconds)
        // What nobody could ask for has no name here.
        guard let sheet, sheet.name.utf8.count <= ModelReference.byteLimit else { return nil }
        let quantization = sheet.quantization.flatMap { $0.utf8.count <= ModelSource.quantizationBytes ? $0 : nil }
        return Entry(
            name: sheet.name, digest: digest, sources: sources(sheet.sources), quantization: quantization ?? "",
            isProjector: sheet.isProjector == true)
    }
}
