/// Where a link's listener can be reached.
package enum LinkAddress: Hashable, Sendable, Codable, CustomStringConvertible {
    /// A Unix socket on this machine.
    case unix(path: String)
    /// A TCP port.
    case tcp(host: String, port: Int)

    /// `unix:PATH` or `HOST:PORT`.
    package var description: String {
        switch self {
        case .unix(let path): "unix:\(path)"
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        }
    }
}

/// Why a link could not be made or ended. Expected in any cluster, so it is data, not a crash.
package enum LinkClosure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The peer closed the connection, or its process died.
    case closedByPeer
    /// This side closed it.
    case closedHere
    /// The operating system reported a failure.
    case failed(reason: String)
    /// The peer sent something that is not a frame of the protocol.
    case protocolViolation(reason: String)

    /// A sentence fragment for logs and errors.
    package var description: String {
        switch self {
        case .closedByPeer: "the peer closed the connection"
        case .closedHere: "the connection was closed on this side"
        case .failed(let reason): "the connection failed: \(reason)"
        case .protocolViolation(let reason): "the peer broke the protocol: \(reason)"
        }
    }
}
