/// What reaches the session behind a WebSocket.
enum SocketInput: Hashable, Sendable {
    /// A text message, whole.
    case message([UInt8])
    /// The connection has been open for as long as one may be.
    case expired
    /// The node is going down.
    case draining
}

/// Why a WebSocket is closed (RFC 6455 §7.4.1).
enum SocketClosure: UInt16 {
    case normal = 1000
    case goingAway = 1001
    case protocolError = 1002
    case unsupportedData = 1003
    case policyViolation = 1008
    case messageTooBig = 1009
}
