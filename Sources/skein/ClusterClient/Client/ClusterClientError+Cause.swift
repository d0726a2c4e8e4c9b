import AsyncHTTPClient
import Fabric
import NIOCore
import NIOHTTP1
import NIOPosix

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

extension ClusterClientError {
    /// What an error of the connection means to who asked.
    init(_ error: any Error, node: String) {
        switch error {
        case let error as ClusterClientError: self = error
        case let error as ServerEventReader.TooLong: self = .tooLong(node, limit: error.limit)
        case let error as NIOConnectionError: self = .unreachable(node, reason: Self.reason(error))
        case let error as IOError: self = Self.cause(error, node)
        case let error as HTTPClientError: self = Self.cause(error, node)
        case HTTPParserError.invalidEOFState: self = .cut(node)
        case let error as HTTPParserError: self = .foreign(node, finding: "\(error)")
        default: self = .unreachable(node, reason: PrintableText.of("\(error)"))
        }
    }

    private static func reason(_ error: NIOConnectionError) -> String {
        if let first = error.connectionErrors.first { return reason(first.error) }
        return error.dnsAError == nil && error.dnsAAAAError == nil ? "no address" : "no such host"
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case is IOError: SystemReason.of(error)
        case is ChannelError: "it does not answer"
        default: PrintableText.of("\(error)")
        }
    }

    private static func cause(_ error: IOError, _ node: String) -> ClusterClientError {
        let isLater = [ECONNRESET, EPIPE, ENOTCONN].contains(error.errnoCode)
        return isLater ? .cut(node) : .unreachable(node, reason: reason(error))
    }

    private static func cause(_ error: HTTPClientError, _ node: String) -> ClusterClientError {
        switch error {
        case .connectTimeout, .getConnectionFromPoolTimeout: .unreachable(node, reason: "it does not answer")
        case .tlsHandshakeTimeout: .unreachable(node, reason: "it does not answer to TLS")
        case .readTimeout, .deadlineExceeded, .writeTimeout: .slow(node, seconds: nil)
        case .remoteConnectionClosed, .uncleanShutdown, .cancelled: .cut(node)
        default: .unreachable(node, reason: PrintableText.of("\(error)"))
        }
    }
}
