package import Cluster

/// Why a cluster lets a machine not join. Travels as a code with its fields; the sentence is made where it is read.
package enum JoinRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// No token has this secret.
    case unknownToken
    /// The token's life is over.
    case expired(at: WallTime)
    /// As many nodes as the token allows have joined with it.
    case usedUp(uses: Int)
    /// The token was taken back.
    case revoked(JoinTokenID)
    /// The joiner says it belongs to another cluster.
    case wrongCluster(expected: ClusterID, presented: ClusterID)
    /// The two versions have no protocol in common.
    case unsupportedVersion(joiner: JoinVersions, cluster: JoinVersions)
    /// The two clocks are too far apart.
    case clockOff(joiner: WallTime, cluster: WallTime)
    /// The node was removed from the cluster.
    case nodeRemoved(NodeID)
    /// Another machine is this node already.
    case identityTaken(NodeID)
    /// The request is malformed.
    case malformed(String)
    /// This node cannot issue certificates; another address of the ticket can.
    case cannotIssue
    /// Too many are joining at once, or this address tried too often.
    case busy(retrySeconds: Int)
    /// The cluster cannot decide now.
    case unavailable(String)
    /// A reason of a later version.
    case other(code: Int, String)

    /// One sentence with the next step.
    package var description: String {
        switch self {
        case .unknownToken:
            "The cluster does not know this join token; make a new one with skein token create."
        case .expired(let time):
            "The join token expired at \(time); make a new one with skein token create."
        case .usedUp(let uses):
            "The join token was for \(uses == 1 ? "one node" : "\(uses) nodes") and is used up; "
                + "make a new one with skein token create."
        case .revoked(let id):
            "The join token \(id) was revoked; make a new one with skein token create."
        case .wrongCluster(let expected, let presented):
            "This machine belongs to cluster \(presented), the ticket is for \(expected); leave the first or "
                + "use another "
                + "data directory."
        case .unsupportedVersion(let joiner, let cluster):
            "This machine has \(joiner), the cluster \(cluster); install a version that fits."
        case .clockOff(let joiner, let cluster):
            "This machine's clock shows \(joiner), the cluster's \(cluster); set the clocks to within an hour."
        case .nodeRemoved(let node):
            "Node \(node) was removed from the cluster; remove the identity folder to join as a new node."
        case .identityTaken(let node):
            "The cluster has a node \(node) with another key; this data directory is a copy, remove its "
                + "identity folder."
        case .malformed(let finding):
            "The cluster could not read the request: \(finding); install the cluster's version."
        case .cannotIssue:
            "That node holds no copy of the cluster's key; use a ticket with the address of one that may vote."
        case .busy(let seconds):
            "The cluster takes no more join requests from here now; try again in \(seconds) s."
        case .unavailable(let reason):
            "The cluster cannot admit nodes now: \(reason); try again when skein status shows a leader."
        case .other(let code, let sentence):
            "The cluster refused with reason \(code): \(sentence)"
        }
    }

    /// Whether another address of the ticket may answer differently.
    var isOfThisNodeOnly: Bool {
        switch self {
        case .cannotIssue, .busy, .unavailable: true
        default: false
        }
    }
}

/// What a program is: its release, and the join protocols it speaks.
package struct JoinVersions: Hashable, Sendable, CustomStringConvertible {
    /// The release, as `skein --version` prints it.
    package let release: String
    /// Protocols of the join exchange and the control channel, oldest to newest.
    package let protocols: ClosedRange<UInt16>

    /// The protocols this code speaks.
    package static let supported: ClosedRange<UInt16> = 1...1

    /// Makes versions; `release` is cut to what a frame holds.
    package init(release: String, protocols: ClosedRange<UInt16> = JoinVersions.supported) {
        self.release = String(decoding: release.utf8.prefix(64), as: UTF8.self)
        self.protocols = protocols
    }

    /// The newest protocol both speak.
    package func common(with other: JoinVersions) -> UInt16? {
        let newest = min(protocols.upperBound, other.protocols.upperBound)
        return newest >= max(protocols.lowerBound, other.protocols.lowerBound) ? newest : nil
    }

    /// `version 0.1.0 (protocol 1 to 1)`.
    package var description: String {
        "version \(release) (protocol \(protocols.lowerBound) to \(protocols.upperBound))"
    }
}
