package import NIOCore

/// Bounds of connections.
package struct ConnectionLimits: Sendable {
    /// Most connections that are answered; those above it get 503.
    package var connections: Int
    /// Connections above `connections` that get their 503; more wait in the system's queue.
    package var refusedConnections: Int
    /// From the opening of a connection until its first request's head is complete.
    package var head: TimeAmount
    /// From a request's head until its body is complete.
    package var body: TimeAmount
    /// Least that arrives of an uploaded file in the time of `body`, which for such a file begins anew then.
    /// **Units:** bytes.
    package var uploadBytes: Int
    /// From the end of an answer until the next request's head.
    package var idle: TimeAmount
    /// While bytes wait for a client, the time in which it reads some of them.
    package var stall: TimeAmount
    /// Silence of a stream after which a sign of life is sent.
    package var silence: TimeAmount
    /// From the opening of a WebSocket until it has to be opened anew.
    package var socketLifetime: TimeAmount
    /// Wait for the first piece of an answer after which its stream is opened all the same, so that signs of life can
    /// be sent.
    package var patience: TimeAmount
    /// Longest header field. **Units:** bytes.
    package var headerFieldBytes: Int
    /// Longest head of a request. **Units:** bytes.
    package var headerBytes: Int
    /// Most header fields.
    package var headerFields: Int

    /// The bounds of a node.
    package init() {
        connections = 1024
        refusedConnections = 128
        head = .seconds(20)
        body = .seconds(60)
        uploadBytes = 1 << 20
        idle = .seconds(75)
        stall = .seconds(60)
        silence = .seconds(15)
        socketLifetime = .minutes(60)
        patience = .seconds(10)
        headerFieldBytes = 16 << 10
        headerBytes = 64 << 10
        headerFields = 128
    }
}
