package import Cluster
package import NIOCore
import NIOPosix

/// What the control channel of a node is told once.
package struct FabricSettings: Sendable {
    /// This node.
    package var node: NodeID
    /// Number of this life of it; MUST be higher than that of every earlier one.
    package var boot: UInt64
    /// The cluster as far as it is known; 0 before.
    package var cluster: UInt64 = 0
    /// Where to listen.
    package var host = "0.0.0.0"
    /// Port to listen on; 0 lets the system choose.
    package var port = 0
    /// Proof of identity, and what listens; nil sends in the clear, which is for tests only.
    package var security: ChannelSecurity?
    /// How long things take.
    package var timings = FabricTimings()
    /// Seed of the jitter of the tries to connect.
    package var seed: UInt64

    /// Makes settings.
    package init(node: NodeID, boot: UInt64, seed: UInt64) {
        self.node = node
        self.boot = boot
        self.seed = seed
    }
}

/// Who belongs to the cluster, and where: what the log says.
package struct FabricRoster: Hashable, Sendable {
    /// The cluster; 0 while there is none.
    package var cluster: UInt64
    /// Addresses of the other members.
    package var peers: [NodeID: [String]]
    /// Nodes that were removed and are not talked to any more.
    package var removed: Set<NodeID>

    /// Makes a roster.
    package init(cluster: UInt64 = 0, peers: [NodeID: [String]] = [:], removed: Set<NodeID> = []) {
        self.cluster = cluster
        self.peers = peers
        self.removed = removed
    }
}

/// What happens on the control channel.
package enum FabricEvent: Sendable {
    /// A message came, from whom the connection belongs to.
    case received(ClusterMessage, from: NodeID)
    /// There is a connection to a peer; with its cluster, 0 while it has none.
    case connected(NodeID, cluster: UInt64, address: String)
    /// There is none any more.
    case lost(NodeID, FabricClosure)
    /// The peer's process ended: its hosts are there, and nobody listens.
    case ended(NodeID)
    /// A connection came to nothing. **Shape:** the address, and the peer as far as it is known.
    case failed(address: String, NodeID?, FabricClosure)
}

/// The control channel of a node: one listener, and at most one live connection to every peer.
///
/// Messages may be lost, as the brain expects: when a connection breaks, when a peer takes too little, or when nobody
/// answers. They never arrive doubled or in another order on one connection.
///
/// **Isolation:** callable from anywhere; everything happens on one event loop, and `events` is called there.
package struct ControlFabric: Sendable {
    /// The thread of all control channels of this process: whatever else the process sends must not delay them.
    private static let thread = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    private let loop: any EventLoop
    private let board: NIOLoopBound<Switchboard>
    /// Where it listens.
    package let port: Int

    /// Opens the listener.
    ///
    /// **Throws:** `FabricError` when the port cannot be opened.
    package static func open(
        _ settings: FabricSettings, on given: (any EventLoop)? = nil, events: @escaping @Sendable (FabricEvent) -> Void
    ) async throws(FabricError) -> ControlFabric {
        let loop = given ?? Self.thread.next()
        do {
            let board = try await loop.submit {
                NIOLoopBound(Switchboard(settings, on: loop, events: events), eventLoop: loop)
            }.get()
            let port = try await loop.flatSubmit { board.value.listen(port: settings.port) }.get()
            return ControlFabric(loop: loop, board: board, port: port)
        } catch {
            throw FabricError(.cluster, address: "\(settings.host):\(settings.port)", error)
        }
    }

    private init(loop: any EventLoop, board: NIOLoopBound<Switchboard>, port: Int) {
        self.loop = loop
        self.board = board
        self.port = port
    }

    /// Sends a message, when there is a connection or soon will be.
    package func send(_ message: ClusterMessage, to node: NodeID) { send([(node, message)]) }

    /// Sends messages in their order.
    package func send(_ messages: [(NodeID, ClusterMessage)]) {
        guard !messages.isEmpty else { return }
        loop.execute { [board] in
            for (node, message) in messages { board.value.send(message, to: node) }
        }
    }

    /// Follows the log: whom to keep a connection to, and whom not to talk to any more.
    package func follow(_ roster: FabricRoster) { loop.execute { [board] in board.value.follow(roster) } }

    /// Keeps dialling addresses until somebody answers there, and again when that connection is lost.
    package func call(_ seeds: [PeerAddress]) { loop.execute { [board] in board.value.call(seeds) } }

    /// Members were seen at addresses: these are tried besides those they gave. Replaces what was seen before. Whoever
    /// answers there has to prove who it is, as anywhere.
    package func sighted(_ sightings: [NodeID: [PeerAddress]]) {
        loop.execute { [board] in board.value.sighted(sightings) }
    }

    /// What is known of the connections, by ascending node.
    package func peers() async -> [PeerStatus] {
        let answer = loop.submit { [board] in board.value.statuses }
        return (try? await answer.get()) ?? []
    }

    /// Stops accepting connections and ends those there are, as a cut of all cables would; for tests.
    package func isolate() async {
        let done = loop.flatSubmit { [board] in board.value.isolate() }
        try? await done.get()
    }

    /// Ends `isolate`.
    ///
    /// **Throws:** `FabricError` when the port was taken meanwhile.
    package func rejoin() async throws(FabricError) {
        do {
            _ = try await loop.flatSubmit { [board, port] in board.value.rejoin(port: port) }.get()
        } catch {
            throw FabricError(.cluster, address: "port \(port)", error)
        }
    }

    /// Says good-bye and closes everything.
    package func close() async {
        let done = loop.flatSubmit { [board] in board.value.close() }
        try? await done.get()
    }
}
