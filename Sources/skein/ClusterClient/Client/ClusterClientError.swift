/// Why a node's answer is none, or is a refusal. The URL of the node comes first.
enum ClusterClientError: Error, Hashable, CustomStringConvertible {
    /// No connection came about.
    case unreachable(String, reason: String)
    /// A connection, but no answer in time.
    case slow(String, seconds: Int64?)
    /// The connection ended before the answer did.
    case cut(String)
    /// It demands a key, and none was sent.
    case keyMissing(String)
    /// It does not take the key that was sent.
    case keyRefused(String, message: String)
    /// It has no routes of the cluster.
    case noCluster(String)
    /// Something else than a node answers.
    case foreign(String, finding: String)
    /// The answer is longer than any should be.
    case tooLong(String, limit: Int)
    /// The answer lacks something that cannot be done without.
    case unreadable(String, field: String)
    /// The cluster does not do it, and says why.
    case refused(status: Int, code: String, message: String)
    /// No node, or more than one, goes by this name.
    case node(NodeNameError)

    /// Exit code of the program: 3 when no node was reached, else 1.
    var exitCode: Int32 {
        if case .unreachable = self { 3 } else { 1 }
    }

    /// Whether the same question may have an answer a moment later.
    var mayPass: Bool {
        switch self {
        case .unreachable, .slow, .cut: true
        case .refused(let status, _, _): status == 503
        default: false
        }
    }

    /// One sentence with the next step.
    var description: String {
        switch self {
        case .unreachable(let node, let reason):
            "no node answers at \(node) (\(reason)); start one with 'skein serve', or name another with --node."
        case .slow(let node, let seconds):
            "the node at \(node) did not answer \(seconds.map { "within \($0) s" } ?? "in time"); "
                + "it may still do it, see 'skein status', or ask another node with --node."
        case .cut(let node):
            "the connection to \(node) ended before its answer; it may still do it, see 'skein status', or ask another "
                + "node with --node."
        case .keyMissing(let node):
            "the node at \(node) demands an API key; set SKEIN_API_KEY or pass --api-key with one that "
                + "'skein key create --name NAME --scope admin' made there."
        case .keyRefused(let node, let message):
            "the node at \(node) does not take this API key: \(message)"
        case .noCluster(let node):
            "the node at \(node) is in no cluster: it was started with --alone, as make demo does, or its log says "
                + "why; start it again without --alone, or ask another node with --node."
        case .foreign(let node, let finding):
            "what answers at \(node) is no Skein node (\(finding)); check --node and what stands in between."
        case .tooLong(let node, let limit):
            "the answer of \(node) is longer than \(limit) bytes; ask for less, or use its API."
        case .unreadable(let node, let field):
            "the answer of \(node) lacks '\(field)'; use the version of skein that the node has."
        case .refused(_, _, let message): message
        case .node(let error): error.description
        }
    }
}
