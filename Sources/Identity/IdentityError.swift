package import Cluster

/// Why a node has no usable identity, or a certificate could not be made. Each case names the file or the number.
package enum IdentityError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A file or folder could not be read or written.
    case file(path: String, action: String, reason: String)
    /// A file is not what this program wrote.
    case damaged(path: String, finding: String)
    /// A file with a private key can be read by others.
    case exposed(path: String, mode: UInt32)
    /// Files that belong to the identity are there, the identity is not.
    case lost(path: String, remaining: String)
    /// Another process uses this identity.
    case inUse(path: String, process: String)
    /// A node that is in a cluster cannot found or join another one.
    case alreadyMember(of: ClusterID, node: NodeID)
    /// The node is in no cluster yet.
    case notMember
    /// A certificate signing request is not acceptable.
    case signingRequest(finding: String)
    /// A private key does not belong to its certificate.
    case keyMismatch(of: String)
    /// The cluster's own certificate is not valid at this time.
    case authorityExpired(at: WallTime, now: WallTime)
    /// Bytes are no certificate or key of this kind.
    case malformed(what: String, finding: String)
    /// The TLS library refused what it was given.
    case tls(finding: String)

    /// One sentence with the next step.
    package var description: String {
        switch self {
        case .file(let path, let action, let reason):
            "Cannot \(action) \(path): \(reason); check the folder, its owner and the disk."
        case .damaged(let path, let finding):
            "\(path) is damaged: \(finding); restore it from a backup, or remove its folder and join again as a "
                + "new node."
        case .exposed(let path, let mode):
            "\(path) holds a private key and has mode \(String(mode, radix: 8)); run chmod 600 on it, and join again "
                + "as a new node when somebody else may have read it."
        case .lost(let path, let remaining):
            "\(path) is missing although \(remaining) is there; restore it from a backup, or remove the folder "
                + "and join "
                + "again as a new node."
        case .inUse(let path, let process):
            "\(path) is in use by \(process); stop it, or give this one another data directory (SKEIN_HOME)."
        case .alreadyMember(let cluster, let node):
            "This machine is node \(node) of cluster \(cluster), and not alone there with nothing deployed; run "
                + "'skein leave' on it first, or use another data directory (SKEIN_HOME)."
        case .notMember:
            "This node is in no cluster; found one with skein serve, or join one with the ticket that "
                + "skein token create prints on one of its nodes."
        case .signingRequest(let finding):
            "The certificate signing request is refused: \(finding); both sides need versions that work together."
        case .keyMismatch(let name):
            "The private key does not belong to \(name); restore both from the same backup."
        case .authorityExpired(let time, let now):
            "The cluster's certificate ends at \(time) and the clock shows \(now); set the clock, or found the "
                + "cluster anew."
        case .malformed(let what, let finding):
            "This is no \(what): \(finding)."
        case .tls(let finding):
            "TLS could not be set up: \(finding)."
        }
    }
}
