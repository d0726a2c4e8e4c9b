package import NIOCore

/// Bounds of the control channel and of the service around the brain.
package enum FabricLimits {
    /// Versions of the frames this release speaks.
    package static let versions: ClosedRange<UInt16> = 1...1
    /// Largest body before the hello is through: a hello or a refusal. **Units:** bytes.
    package static let helloBytes = 4096
    /// Largest body after it: one message with a whole state. **Units:** bytes.
    package static let messageBytes = 17 << 20
    /// Longest sentence in a refusal. **Units:** bytes.
    static let sentenceBytes = 1024

    /// Messages waiting for one peer.
    package static let queueCount = 1024
    /// Bytes waiting for one peer; holds the largest message. **Units:** bytes.
    package static let queueBytes = 24 << 20
    /// Bytes handed to the socket ahead of its pace. **Units:** bytes.
    static let lowWaterBytes = 64 << 10
    /// As `lowWaterBytes`; beyond it messages wait in the queue.
    static let highWaterBytes = 256 << 10

    /// Connections whose hello is not through; more are closed at once.
    package static let pendingConnections = 128
    /// Connections in all.
    package static let connections = 8192
    /// Connections waiting to be accepted.
    static let backlog: Int32 = 128
    /// Clusters up to this size keep a connection to every member; larger ones connect on demand.
    package static let eagerPeers = 64
    /// Addresses of one peer that are tried.
    package static let addressesPerPeer = 16
    /// Addresses at which one peer was seen that are tried besides.
    package static let sightedAddresses = 8
    /// Rounds of tries after a connection broke that may tell that the peer's process ended.
    static let knocks = 3
    /// Peers given by their address only.
    package static let seeds = 64
    /// Peers that are kept track of: the members, and newcomers that ask.
    package static let lines = 8192

    /// Questions waiting to be sent to the coordinator; one that finds no room counts as unanswered.
    static let questions = 64
    /// Inputs waiting for the brain in all.
    package static let inboxCount = 8192
    /// Messages of one peer waiting for the brain; more are dropped.
    package static let inboxPerPeer = 1024
    /// Inputs whose effects share one write.
    package static let inputsPerWrite = 64
    /// Changes kept for watchers; slower ones get everything anew.
    package static let changeHistory = 1024
    /// Watchers at once.
    package static let watchers = 256
    /// Readings of links that are passed on.
    static let linkReadings = 16
}

/// How long things on the control channel take, or may take.
package struct FabricTimings: Sendable {
    /// Connecting to one address.
    package var connect = TimeAmount.seconds(2)
    /// TLS and hello together.
    package var hello = TimeAmount.seconds(5)
    /// Time between measurements of the round trip.
    package var ping = TimeAmount.seconds(2)
    /// A connection on which nothing comes for this long is closed.
    package var silence = TimeAmount.seconds(10)
    /// A connection that must prove that it lives, because its peer tried to make another.
    package var challenge = TimeAmount.seconds(1)
    /// A peer that takes nothing for this long, while something waits for it, is closed.
    package var stall = TimeAmount.seconds(10)
    /// A connection of a large cluster that carried no message for this long is closed.
    package var idle = TimeAmount.seconds(120)
    /// Time before the second try to connect; doubles with every further one.
    package var backoff = TimeAmount.milliseconds(100)
    /// Longest time between tries.
    package var backoffMost = TimeAmount.seconds(2)

    /// The defaults.
    package init() {}
}
