package import Cluster

/// Why a connection between two nodes was not made or ended. Expected in any cluster, so it is data.
package enum FabricClosure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The peer closed the connection, or its process died.
    case closedByPeer
    /// This side closed it: it stops, or has another connection to the same peer.
    case closedHere
    /// The peer said why it does not talk to this node.
    case refused(FabricRefusal)
    /// This node does not talk to the peer, and told it why.
    case refusedHere(FabricRefusal)
    /// The operating system or TLS reported a failure.
    case failed(reason: String)
    /// Nobody listens there.
    case nobodyListens(address: String)
    /// The peer's certificate proves another identity, or none.
    case unproven(reason: String)
    /// A frame is longer than it may be.
    case oversized(bytes: Int, limit: Int)
    /// The connection ended inside a frame.
    case truncated(bytes: Int)
    /// A frame is no frame of this protocol.
    case garbage(field: String, value: UInt64)
    /// A frame came twice, or frames are missing or in another order.
    case outOfOrder(sequence: UInt64, expected: UInt64)
    /// A frame's checksum is not that of its bytes.
    case checksum(expected: UInt32, actual: UInt32)
    /// A message cannot be read.
    case unreadable(CodecError)
    /// The hello did not come in time.
    case helloTimeout(milliseconds: Int64)
    /// Nothing came for too long.
    case silent(milliseconds: Int64)
    /// The peer takes nothing, while messages wait.
    case stalled(milliseconds: Int64, waitingBytes: Int)
    /// Nothing was to be said for long.
    case idle

    /// One sentence with the numbers.
    package var description: String {
        switch self {
        case .closedByPeer: "the peer closed the connection"
        case .closedHere: "the connection was closed on this side"
        case .refused(let refusal): "the peer refuses: \(refusal)"
        case .refusedHere(let refusal): "refused: \(refusal)"
        case .failed(let reason): "the connection failed: \(reason)"
        case .nobodyListens(let address): "nobody listens at \(address); is the node running there?"
        case .unproven(let reason): "the peer did not prove who it is: \(reason)"
        case .oversized(let bytes, let limit): "a frame of \(bytes) bytes came, the limit is \(limit)"
        case .truncated(let bytes): "the connection ended inside a frame, after \(bytes) bytes of it"
        case .garbage(let field, let value): "\(field) is \(value), which is no frame of this protocol"
        case .outOfOrder(let sequence, let expected): "frame \(sequence) came where \(expected) was expected"
        case .checksum(let expected, let actual): "the checksum of a frame is \(actual), its bytes have \(expected)"
        case .unreadable(let error): "a message cannot be read: \(error)"
        case .helloTimeout(let milliseconds): "no hello came within \(milliseconds) ms"
        case .silent(let milliseconds): "nothing came for \(milliseconds) ms"
        case .stalled(let milliseconds, let waiting):
            "the peer took nothing for \(milliseconds) ms while \(waiting) bytes waited"
        case .idle: "nothing was to be said"
        }
    }

    /// Whether the peer broke the protocol, as opposed to being gone.
    package var isViolation: Bool {
        switch self {
        case .oversized, .truncated, .garbage, .outOfOrder, .checksum, .unreadable, .helloTimeout: true
        default: false
        }
    }
}

/// Why a node does not talk to another one; travels to it as a code and a sentence.
package struct FabricRefusal: Hashable, Sendable, CustomStringConvertible {
    /// The kind of reason, for programs.
    package enum Code: UInt8, Sendable {
        /// The release of the other side is older than this one and knows more than it says.
        case unknown = 0
        /// The two belong to different clusters.
        case otherCluster = 1
        /// They have no version of the frames in common.
        case versions = 2
        /// The node was removed from the cluster.
        case removed = 3
        /// It dialled itself.
        case itself = 4
        /// Another process with the same identity is connected.
        case clonedIdentity = 5
        /// There is a better connection between the two already.
        case duplicate = 6
        /// The certificate is not that of the node in the hello.
        case unproven = 7
        /// This node has as many connections as it takes.
        case crowded = 8
        /// This node stops.
        case leaving = 9
        /// Nothing was to be said for long; connect again when something is.
        case idle = 10
    }

    /// The kind of reason.
    package let code: Code
    /// One sentence with the numbers and the next step.
    package let description: String

    /// Makes a refusal.
    package init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}

/// Why a port for other nodes could not be opened.
package struct FabricError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What nodes do at a port.
    package enum Port: Hashable, Sendable {
        /// Joining and the control channel.
        case cluster
        /// Members ask each other for stages and layers.
        case data
    }

    /// Which port it is.
    package let port: Port
    /// Where it should have listened, `HOST:PORT`.
    package let address: String
    /// What the system said.
    package let reason: String

    /// Says which address could not be opened, and why.
    package init(_ port: Port, address: String, _ error: any Error) {
        self.port = port
        self.address = address
        reason = SystemReason.of(error)
    }

    /// One sentence with the next step.
    package var description: String {
        switch port {
        case .cluster:
            "The cluster port \(address) cannot be opened (\(reason)); choose another with --cluster-listen HOST:PORT."
        case .data:
            "The data port \(address) cannot be opened (\(reason)); choose another with --data-port PORT."
        }
    }
}
