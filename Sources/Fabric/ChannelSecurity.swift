package import Cluster
package import NIOCore

/// How connections between nodes are secured: whoever gets through has proven which node it is.
package struct ChannelSecurity: Sendable {
    /// Takes a connection whose peer is proven; what arrives until the future completes is kept back.
    package typealias Proven = @Sendable (any Channel, NodeID) -> EventLoopFuture<Void>

    /// Listens on `HOST`, `PORT` (0 is any); each connection of a proven member is handed over. Connections MUST live
    /// on the given loop.
    package let listen: @Sendable (String, Int, any EventLoop, @escaping Proven) -> EventLoopFuture<any Channel>
    /// Begins the handshake on a connection this side dialled; `expecting` names the node that must answer, nil takes
    /// any. Exactly one of `failed` and `proven` is called, unless this throws. Called on the connection's loop.
    ///
    /// **Throws:** when the connection is gone already.
    package let dial:
        @Sendable (
            any Channel, _ expecting: NodeID?, _ failed: @escaping @Sendable (String) -> Void,
            _ proven: @escaping Proven
        ) throws -> Void

    /// Puts the two together.
    package init(
        listen: @escaping @Sendable (String, Int, any EventLoop, @escaping Proven) -> EventLoopFuture<any Channel>,
        dial:
            @escaping @Sendable (
                any Channel, NodeID?, @escaping @Sendable (String) -> Void, @escaping Proven
            ) throws -> Void
    ) {
        self.listen = listen
        self.dial = dial
    }
}
