import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import skein

/// Something at a port of its own that answers requests by a script, however badly.
final class ScriptedServer: Sendable {
    /// What becomes of a request.
    struct Reply: Sendable {
        var bytes: String
        /// Else the connection stays open and silent.
        var closes = true

        static func of(_ status: String, _ body: String, type: String = "application/json") -> Reply {
            Reply(
                bytes: "HTTP/1.1 \(status)\r\nContent-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n"
                    + "Connection: close\r\n\r\n\(body)")
        }

        /// A stream of events that ends so, with its end said or not.
        static func events(_ text: String, closes: Bool = true) -> Reply {
            Reply(bytes: "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n\(text)", closes: closes)
        }

        static let silence = Reply(bytes: "", closes: false)
        static let hangUp = Reply(bytes: "")
    }

    let port: Int
    private let channel: any Channel
    private let log: Log

    /// The requests so far, as they came.
    var requests: [String] { log.requests.withLock { $0 } }

    private final class Log: Sendable {
        let requests = Mutex<[String]>([])
    }

    private init(_ channel: any Channel, _ log: Log) throws {
        self.channel = channel
        self.log = log
        port = try #require(channel.localAddress?.port)
    }

    /// Serves until `body` is done; `script` gets the place of the request, from 0, and its bytes.
    static func with(
        _ script: @escaping @Sendable (Int, String) -> Reply, _ body: (ScriptedServer) async throws -> Void
    ) async throws {
        let log = Log()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(log, script))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let server = try ScriptedServer(channel, log)
        do {
            try await body(server)
        } catch {
            try? await channel.close()
            throw error
        }
        try await channel.close()
    }

    /// A port that was open a moment ago and is closed.
    static func closedPort() async throws -> Int {
        var port = 0
        try await with({ _, _ in .hangUp }) { port = $0.port }
        return port
    }

    var address: NodeAddress {
        get throws { try NodeAddress("http://127.0.0.1:\(port)") }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let log: Log
        private let script: @Sendable (Int, String) -> Reply
        private var received = ""

        init(_ log: Log, _ script: @escaping @Sendable (Int, String) -> Reply) {
            self.log = log
            self.script = script
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received += String(buffer: unwrapInboundIn(data))
            guard isWhole else { return }
            let request = received
            received = ""
            let place = log.requests.withLock { requests in
                requests.append(request)
                return requests.count - 1
            }
            let reply = script(place, request)
            context.writeAndFlush(NIOAny(ByteBuffer(string: reply.bytes)), promise: nil)
            if reply.closes { context.close(promise: nil) }
        }

        private var isWhole: Bool {
            guard let end = received.firstRange(of: "\r\n\r\n") else { return false }
            let head = received[..<end.lowerBound].lowercased()
            guard let field = head.firstRange(of: "content-length: ") else { return true }
            let length = Int(head[field.upperBound...].prefix { $0.isNumber }) ?? 0
            return received[end.upperBound...].utf8.count >= length
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
