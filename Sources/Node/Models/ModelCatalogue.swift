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
    private var names: [String: String] = [:]
    private var failures: [String: ContinuousClock.Instant] = [:]

    init(library: ModelLibrary, peers: PeerClient) {
        self.library = library
        self.peers = peers
    }

    /// What the cluster has, this node's own first; of one name the nearest.
    func entries(_ view: ClusterView) async -> [Entry] {
        var entries = await library.known
        let others = foreign(view, without: Set(entries.map(\.digest)))
        await learn(others, view)
        entries += others.compactMap { digest in names[digest].map { Entry(name: $0, digest: digest) } }
        var seen: Set<String> = []
        return entries.filter { !$0.name.isEmpty && seen.insert($0.name).inserted }
    }

    /// The model a name or digest means; nil when nobody has it. A path means nothing here: only who may change this
    /// machine takes files in.
    func find(_ name: String, _ view: ClusterView) async -> Entry? {
        await entries(view).first { $0.name == name || $0.digest == name }
    }

    private func foreign(_ view: ClusterView, without own: Set<String>) -> [String] {
        var digests: Set<String> = []
        for member in view.members where member.liveness == .alive && member.member.node != view.node {
            digests.formUnion(member.reading?.holds ?? [])
        }
        return digests.subtracting(own).sorted()
    }

    private func learn(_ digests: [String], _ view: ClusterView) async {
        let now = ContinuousClock.now
        failures = failures.filter { $0.value > now }
        let unknown = digests.filter { names[$0] == nil && failures[$0] == nil }.prefix(Self.questionLimit)
        guard !unknown.isEmpty else { return }
        let told = await withTaskGroup(of: (String, String?).self) { group in
            for digest in unknown {
                let holder = view.holders(of: digest).first
                group.addTask { [peers] in (digest, await Self.name(of: digest, at: holder, peers)) }
            }
            var told: [(String, String?)] = []
            for await answer in group { told.append(answer) }
            return told
        }
        for (digest, name) in told {
            if names.count >= Self.nameLimit { names = [:] }
            if let name { names[digest] = name } else { failures[digest] = now + .seconds(Self.retrySeconds) }
        }
    }

    private static func name(of digest: String, at holder: NodeID?, _ peers: PeerClient) async -> String? {
        guard let holder else { return nil }
        let sheet = try? await peers.get(
            "models/\(digest)", of: holder, as: ModelSheet.self, seconds: answerSeconds)
        return sheet?.name
    }
}
