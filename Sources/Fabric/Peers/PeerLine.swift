package import Cluster
import NIOCore

/// What a node keeps about one peer. Lives on the switchboard's event loop.
final class PeerLine {
    let node: NodeID
    /// As the member gave them.
    var addresses: [String] = []
    /// Where it was seen lately, by somebody's word.
    var sighted: [PeerAddress] = []
    /// Round trips of ended connections that this side dialled. **Units:** nanoseconds.
    var measured: [PeerAddress: Int64] = [:]
    var isMember = false
    var connection: ControlConnection?
    var queue = OutboundQueue()
    /// The address that worked last.
    var worked: PeerAddress?
    var isDialling = false
    /// Rounds of dialling that failed since the last connection.
    var failures = 0
    var notBefore = NIODeadline.uptimeNanoseconds(0)
    var retry: Scheduled<Void>?
    /// A connection broke, and it is not clear yet whether the peer's process ended.
    var isInDoubt = false

    init(node: NodeID) { self.node = node }
}

/// A peer given by its address only.
final class SeedLine {
    let address: PeerAddress
    /// Who answered there.
    var node: NodeID?
    var isDialling = false
    var failures = 0
    var retry: Scheduled<Void>?

    init(address: PeerAddress) { self.address = address }
}

/// What is known of the connection to a peer.
package struct PeerStatus: Hashable, Sendable {
    /// The peer.
    package let node: NodeID
    /// The other end of the connection; nil while there is none.
    package let address: String?
    /// Number of the peer's life.
    package let boot: UInt64?
    /// The round trip.
    package let roundTrip: RoundTrip
    /// Bytes sent on this connection.
    package let sentBytes: Int
    /// Bytes received on it.
    package let receivedBytes: Int
    /// Messages waiting.
    package let waiting: Int
    /// Messages dropped since the start, on all connections to this peer.
    package let dropped: Int
}
