package import Cluster
import Vocabulary

/// Identity of a cluster: drawn when it is founded, in every certificate of it.
package struct ClusterID: Hashable, Sendable, CustomStringConvertible {
    /// The number behind the identity; never 0.
    package let value: UInt64

    /// Wraps a number; 0 means that there is no cluster, so it gives nil.
    package init?(_ value: UInt64) {
        guard value != 0 else { return nil }
        self.value = value
    }

    /// Draws an identity for a new cluster.
    package static func draw(_ entropy: Entropy) -> ClusterID {
        var value: UInt64 = 0
        while value == 0 { value = entropy.number() }
        return ClusterID(known: value)
    }

    private init(known value: UInt64) { self.value = value }

    /// Sixteen hexadecimal digits.
    package var description: String { NodeID(value).description }
}

/// Where random bytes come from; tests hand in their own.
package struct Entropy: Sendable {
    private let draw: @Sendable (Int) -> [UInt8]

    /// Takes a source; it MUST give as many bytes as it is asked for.
    package init(_ draw: @escaping @Sendable (_ count: Int) -> [UInt8]) { self.draw = draw }

    /// The operating system's generator, which is fit for secrets.
    package static let system = Entropy { count in
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    /// Random bytes.
    package func bytes(_ count: Int) -> [UInt8] {
        let bytes = draw(count)
        precondition(bytes.count == count, "the entropy source gave \(bytes.count) of \(count) bytes")
        return bytes
    }

    /// A random number of 64 bits.
    package func number() -> UInt64 { bytes(8).reduce(0) { $0 << 8 | UInt64($1) } }
}

/// The names a node's certificate carries.
package struct NodeName: Hashable, Sendable, CustomStringConvertible {
    /// The cluster that vouches for the node.
    package let cluster: ClusterID
    /// The node.
    package let node: NodeID

    /// Makes the name of a node of a cluster.
    package init(cluster: ClusterID, node: NodeID) {
        self.cluster = cluster
        self.node = node
    }

    /// Reads `skein://CLUSTER/node/NODE`, or returns nil for anything else.
    package init?(uri: String) {
        let parts = uri.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0] == "skein:", parts[1].isEmpty, parts[3] == "node",
            let cluster = Hexadecimal.number(parts[2]).flatMap({ ClusterID($0) }),
            let node = Hexadecimal.number(parts[4])
        else { return nil }
        self.init(cluster: cluster, node: NodeID(node))
        guard self.uri == uri else { return nil }
    }

    /// `skein://CLUSTER/node/NODE`, both as sixteen digits.
    package var uri: String { "skein://\(cluster)/node/\(node)" }

    /// A name in the form of a host, for TLS libraries that compare host names.
    package var hostName: String { "\(node).\(cluster).skein.internal" }

    /// Reads what `hostName` wrote, or returns nil for anything else.
    package init?(hostName: String) {
        let parts = hostName.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4, let node = Hexadecimal.number(parts[0]),
            let cluster = Hexadecimal.number(parts[1]).flatMap({ ClusterID($0) })
        else { return nil }
        self.init(cluster: cluster, node: NodeID(node))
        guard self.hostName == hostName else { return nil }
    }

    /// The URI.
    package var description: String { uri }
}
