import Foundation
import Gateway
import Hummingbird
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// A gateway on a port of its own.
struct LoopbackServer: Sendable {
    let port: Int

    /// Serves `node`, calls `body` and stops.
    static func with(
        _ node: any Generating, store: (any ResponseStoring)? = nil, embedder: (any Embedding)? = nil,
        cluster: (any ClusterViewing)? = nil, keeper: (any ModelKeeping)? = nil, access: AccessPolicy = AccessPolicy(),
        keys: (any KeyProviding)? = nil, connections: ConnectionLimits = ConnectionLimits(), logger: Logger? = nil,
        _ body: (LoopbackServer) async throws -> Void
    ) async throws {
        // A request's identity is kept in its logger, so a handler that keeps nothing will not do.
        var silence = Logger(label: "tests") { StreamLogHandler.standardError(label: $0) }
        silence.logLevel = .critical
        let gateway = GatewayServer(
            backend: node, store: store, embedder: embedder, cluster: cluster, keeper: keeper, host: "127.0.0.1",
            port: 0, fingerprint: "skein-test", access: access, keys: keys, connections: connections,
            logger: logger ?? silence,
            clock: .steps())
        let (ports, ready) = AsyncStream.makeStream(of: Int.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { ready.finish() }
                try await gateway.application { ready.yield($0) }.run()
            }
            var opened: Int?
            for await port in ports {
                opened = port
                break
            }
            let server = LoopbackServer(port: try #require(opened, "the server ended before it listened"))
            try await body(server)
            group.cancelAll()
        }
    }

    /// Sends a request and reads the whole answer.
    func send(
        _ method: String, _ path: String, _ body: String = "", _ headers: [String: String] = [:]
    ) async throws -> HTTPAnswer {
        let connection = try await RawConnection.open(port: port)
        connection.send(method, path, body, headers)
        var bytes: [UInt8] = []
        for await chunk in connection.received { bytes += chunk }
        return try HTTPAnswer(bytes)
    }

    func post(_ path: String, _ body: String) async throws -> HTTPAnswer { try await send("POST", path, body) }

    func get(_ path: String) async throws -> HTTPAnswer { try await send("GET", path) }
}

extension GatewayClock {
    /// A wall clock that stands at 2024-07-22T20:33:28Z, and one that goes 5 ms further each time it is read.
    static func steps() -> GatewayClock {
        let counter = Counter()
        return GatewayClock(
            unixNanoseconds: { 1_721_680_408_000_000_000 }, uptimeNanoseconds: { counter.next() * 5_000_000 })
    }

    private final class Counter: Sendable {
        private let reads = Atomic<Int64>(0)

        func next() -> Int64 { reads.add(1, ordering: .relaxed).newValue }
    }
}

/// One TCP connection, as bytes.
final class RawConnection: Sendable {
    /// What the server sends, until it closes the connection.
    let received: AsyncStream<[UInt8]>
    private let channel: any Channel

    private init(_ channel: any Channel, _ received: AsyncStream<[UInt8]>) {
        self.channel = channel
        self.received = received
    }

    /// Connects; one that does not read leaves all that comes to the system, which takes only so much.
    static func open(port: Int, reads: Bool = true) async throws -> RawConnection {
        let (stream, sink) = AsyncStream.makeStream(of: [UInt8].self)
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(ChannelOptions.autoRead, value: reads)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Sink(sink)) }
            }
            .connect(host: "127.0.0.1", port: port).get()
        return RawConnection(channel, stream)
    }

    /// Sends a request after whose answer the server closes the connection.
    func send(_ method: String, _ path: String, _ body: String, _ headers: [String: String] = [:]) {
        var fields = [
            "Host": "127.0.0.1", "Connection": "close", "Content-Type": "application/json",
            "Content-Length": "\(body.utf8.count)",
        ]
        fields.merge(headers) { $1 }
        let lines = ["\(method) \(path) HTTP/1.1"] + fields.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
        send((lines + ["", ""]).joined(separator: "\r\n") + body)
    }

    /// Sends bytes as they are.
    func send(_ text: String) { channel.writeAndFlush(ByteBuffer(string: text), promise: nil) }

    func send(_ bytes: [UInt8]) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }

    /// Everything the server sends until it closes the connection.
    func answer() async throws -> HTTPAnswer {
        var bytes: [UInt8] = []
        for await chunk in received { bytes += chunk }
        return try HTTPAnswer(bytes)
    }

    /// What the server sends until it contains `text`, so many times.
    func read(until text: String, times: Int = 1) async -> String {
        var bytes: [UInt8] = []
        for await chunk in received {
            bytes += chunk
            if String(decoding: bytes, as: UTF8.self).components(separatedBy: text).count > times { break }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    func close() { channel.close(promise: nil) }

    private final class Sink: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let sink: AsyncStream<[UInt8]>.Continuation

        init(_ sink: AsyncStream<[UInt8]>.Continuation) { self.sink = sink }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            sink.yield(Array(unwrapInboundIn(data).readableBytesView))
        }

        func channelInactive(context: ChannelHandlerContext) { sink.finish() }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}

/// An answer taken apart.
struct HTTPAnswer: Sendable {
    struct Malformed: Error {
        let text: String
    }

    let status: Int
    /// By lower-case name.
    let headers: [String: String]
    let body: String

    init(_ bytes: [UInt8]) throws {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let split = text.range(of: "\r\n\r\n") else { throw Malformed(text: text) }
        let lines = text[..<split.lowerBound].components(separatedBy: "\r\n")
        guard let code = lines[0].split(separator: " ").dropFirst().first, let status = Int(code) else {
            throw Malformed(text: text)
        }
        self.status = status
        headers = lines.dropFirst().reduce(into: [:]) { headers, line in
            guard let colon = line.firstIndex(of: ":") else { return }
            let value = line[line.index(after: colon)...]
            headers[line[..<colon].lowercased()] = value.trimmingCharacters(in: .whitespaces)
        }
        let rest = Array(text[split.upperBound...].utf8)
        body = headers["transfer-encoding"] == "chunked" ? try Self.joined(rest) : String(decoding: rest, as: UTF8.self)
    }

    /// The content of chunked bytes.
    private static func joined(_ bytes: [UInt8]) throws -> String {
        var content: [UInt8] = []
        var rest = bytes[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\r")) {
            guard let size = Int(String(decoding: rest[..<end], as: UTF8.self), radix: 16) else { break }
            if size == 0 { return String(decoding: content, as: UTF8.self) }
            rest = rest[(end + 2)...]
            guard rest.count >= size + 2 else { break }
            content += rest.prefix(size)
            rest = rest.dropFirst(size + 2)
        }
        throw Malformed(text: String(decoding: bytes, as: UTF8.self))
    }

    /// The body as a JSON object.
    func object() throws -> [String: Any] { try Self.object(body) }

    static func object(_ text: String) throws -> [String: Any] {
        guard let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] else {
            throw Malformed(text: text)
        }
        return object
    }

    /// The `error` of the body.
    func error() throws -> [String: Any] {
        guard let error = try object()["error"] as? [String: Any] else { throw Malformed(text: body) }
        return error
    }

    /// The data of every event of an event stream.
    var events: [String] {
        body.components(separatedBy: "\n\n").filter { !$0.isEmpty }.map { event in
            event.hasPrefix("data: ") ? String(event.dropFirst(6)) : event
        }
    }
}
