import Dialects
import Foundation
import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOHTTPTypes
import Testing
import Vocabulary

@testable import Gateway

/// A channel whose clock a test moves.
private struct GuardedChannel {
    let channel = EmbeddedChannel()
    let count: ConnectionCount

    init(limits: ConnectionLimits = ConnectionLimits(), count: ConnectionCount? = nil) throws {
        let count = count ?? ConnectionCount(limit: limits.connections)
        self.count = count
        try channel.pipeline.syncOperations.addHandler(ConnectionGuard(limits: limits, count: count) { _ in })
        try channel.pipeline.syncOperations.addHandler(SilenceWatch(interval: limits.silence))
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    static let head = HTTPRequest(method: .post, scheme: "http", authority: "localhost", path: "/v1/messages?beta=true")

    func advance(_ seconds: Int64) { channel.embeddedEventLoop.advanceTime(by: .seconds(seconds)) }

    func receive(_ part: HTTPRequestPart) throws { try channel.writeInbound(part) }

    func send(_ part: HTTPResponsePart) throws { try channel.writeOutbound(part) }

    /// The status and the body of what was sent.
    func sent() throws -> (status: Int?, body: String, isComplete: Bool) {
        var status: Int?
        var body = ""
        var isComplete = false
        while let part = try channel.readOutbound(as: HTTPResponsePart.self) {
            switch part {
            case .head(let head): status = head.status.code
            case .body(let bytes): body += String(buffer: bytes)
            case .end: isComplete = true
            }
        }
        return (status, body, isComplete)
    }
}

@Suite struct `Connection guard` {
    @Test func `a connection that says nothing is closed after a while`() throws {
        let guarded = try GuardedChannel()
        guarded.advance(19)
        #expect(guarded.channel.isActive)
        guarded.advance(1)
        #expect(!guarded.channel.isActive)
        #expect(guarded.count.enter())
    }

    @Test func `a body that drips is an error for its route, and soon the end`() throws {
        let guarded = try GuardedChannel()
        try guarded.receive(.head(GuardedChannel.head))
        for _ in 0..<59 {
            guarded.advance(1)
            try guarded.receive(.body(ByteBuffer(string: "x")))
        }
        try guarded.channel.throwIfErrorCaught()
        guarded.advance(1)
        #expect(throws: BodyDeadlinePassed.self) { try guarded.channel.throwIfErrorCaught() }
        #expect(guarded.channel.isActive)
        guarded.advance(20)
        #expect(!guarded.channel.isActive)
    }

    @Test func `an answer may take its time, and the next request too`() throws {
        let guarded = try GuardedChannel()
        for _ in 0..<3 {
            try guarded.receive(.head(GuardedChannel.head))
            try guarded.receive(.end(nil))
            guarded.advance(100_000)
            try guarded.send(.head(HTTPResponse(status: .ok)))
            try guarded.send(.end(nil))
            guarded.advance(74)
            #expect(guarded.channel.isActive)
        }
        guarded.advance(1)
        #expect(!guarded.channel.isActive)
    }

    @Test func `a body that ends after its answer leaves a connection that is idle`() throws {
        var limits = ConnectionLimits()
        limits.connections = 1
        let guarded = try GuardedChannel(limits: limits)
        for _ in 0..<2 {
            try guarded.receive(.head(GuardedChannel.head))
            try guarded.send(.head(HTTPResponse(status: .contentTooLarge)))
            try guarded.send(.end(nil))
            guarded.advance(10)
            try guarded.receive(.body(ByteBuffer(string: "late")))
            try guarded.receive(.end(nil))
            guarded.advance(74)
            #expect(guarded.channel.isActive)
        }
        guarded.advance(1)
        #expect(!guarded.channel.isActive)
        #expect(guarded.count.enter())
    }

    @Test func `one connection too many is told so in its dialect, and its place is free again when it goes`() throws {
        var limits = ConnectionLimits()
        limits.connections = 1
        let first = try GuardedChannel(limits: limits)
        let second = try GuardedChannel(limits: limits, count: first.count)
        try second.receive(.head(GuardedChannel.head))
        let answer = try second.sent()
        #expect(answer.status == 503 && answer.isComplete && answer.body.contains("overloaded_error"))
        // What still comes is dropped.
        try second.receive(.body(ByteBuffer(string: "{}")))
        #expect(try second.channel.readInbound(as: HTTPRequestPart.self) == nil)
        second.advance(1)
        #expect(!second.channel.isActive)
        try first.channel.close().wait()
        let third = try GuardedChannel(limits: limits, count: first.count)
        try third.receive(.head(GuardedChannel.head))
        #expect(try third.sent().status == nil)
    }

    @Test func `a head that cannot be read is answered before the connection ends`() throws {
        for (error, status) in [(HTTPParserError.headerOverflow, 431), (.invalidMethod, 400)] {
            let guarded = try GuardedChannel()
            guarded.channel.pipeline.fireErrorCaught(error)
            let answer = try guarded.sent()
            #expect(answer.status == status && answer.isComplete)
            guarded.advance(1)
            #expect(!guarded.channel.isActive)
        }
    }

    @Test func `a silent stream shows signs of life, a talking one none`() throws {
        let guarded = try GuardedChannel()
        let watch = try guarded.channel.pipeline.syncOperations.handler(type: SilenceWatch.self)
        watch.sign = { Array(": keep-alive\n\n".utf8) }
        try guarded.receive(.head(GuardedChannel.head))
        try guarded.receive(.end(nil))
        try guarded.send(.head(HTTPResponse(status: .ok)))
        for _ in 0..<100 {
            guarded.advance(14)
            try guarded.send(.body(ByteBuffer(string: "x")))
        }
        #expect(try guarded.sent().body == String(repeating: "x", count: 100))
        guarded.advance(45)
        #expect(try guarded.sent().body == String(repeating: ": keep-alive\n\n", count: 3))
        try guarded.send(.end(nil))
        guarded.advance(60)
        #expect(try guarded.sent().body == "")
    }

    @Test func `an answer that is no stream stays as it is`() throws {
        let guarded = try GuardedChannel()
        try guarded.receive(.head(GuardedChannel.head))
        try guarded.receive(.end(nil))
        try guarded.send(.head(HTTPResponse(status: .ok)))
        guarded.advance(1000)
        #expect(try guarded.sent().body == "")
    }
}

@Suite struct `Stall watch` {
    private let channel = EmbeddedChannel()

    init() throws {
        try channel.pipeline.syncOperations.addHandler(StallWatch(patience: .seconds(60)))
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    private func advance(_ seconds: Int64) { channel.embeddedEventLoop.advanceTime(by: .seconds(seconds)) }

    /// From now on so many bytes wait for the client; more are taken when they are none.
    private func hold(_ bytes: Int) {
        channel.flush()
        channel.write(ByteBuffer(repeating: 0, count: bytes), promise: nil)
        guard channel.isWritable != (bytes == 0) else { return }
        channel.isWritable = bytes == 0
        channel.pipeline.fireChannelWritabilityChanged()
    }

    @Test func `a client that waits for the model is left alone`() {
        advance(100_000)
        #expect(channel.isActive)
    }

    @Test func `a client that reads nothing of what waits for it is disconnected`() {
        hold(1000)
        advance(59)
        #expect(channel.isActive)
        advance(1)
        #expect(!channel.isActive)
    }

    @Test func `a client that reads slowly may go on until it stops`() {
        hold(1000)
        for bytes in stride(from: 900, through: 100, by: -100) {
            advance(59)
            hold(bytes)
            advance(1)
            #expect(channel.isActive)
        }
        advance(60)
        #expect(!channel.isActive)
    }

    @Test func `a client that has read all begins anew`() {
        for _ in 0..<3 {
            hold(1000)
            advance(59)
            hold(0)
            advance(1000)
            #expect(channel.isActive)
        }
        hold(1000)
        advance(60)
        #expect(!channel.isActive)
    }
}

@Suite(.timeLimit(.minutes(1))) struct `Connections over HTTP` {
    private static let chat = #"{"model":"tiny","stream":true,"messages":[{"role":"user","content":"hi"}]}"#
    private static let message =
        #"{"model":"tiny","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#

    @Test func `connections beyond the limit get 503 and the others go on`() async throws {
        var limits = ConnectionLimits()
        limits.connections = 2
        let node = SteppedNode()
        try await LoopbackServer.with(node, connections: limits) { server in
            let first = try await RawConnection.open(port: server.port)
            first.send("POST", "/v1/chat/completions", Self.chat)
            _ = try await node.begins.next()
            let second = try await RawConnection.open(port: server.port)
            second.send("POST", "/v1/chat/completions", Self.chat)
            _ = try await node.begins.next()
            let refused = try await server.get("/v1/models")
            #expect(refused.status == 503 && refused.headers["retry-after"] == "1")
            #expect(try refused.error()["code"] as? String == "too_many_connections")
            node.send(.hello)
            #expect(try await first.answer().status == 200)
            #expect(try await server.get("/v1/models").status == 200)
        }
    }

    @Test func `a head is bounded in bytes, in one field, and in fields`() async throws {
        try await LoopbackServer.with(ScriptedNode { _ in .hello }) { server in
            let heads = [
                "x: " + String(repeating: "a", count: 17 << 10) + "\r\n",
                (0..<200).map { "x\($0): a\r\n" }.joined(),
                (0..<100).map { "x\($0): " + String(repeating: "a", count: 1000) + "\r\n" }.joined(),
            ]
            for head in heads {
                let connection = try await RawConnection.open(port: server.port)
                connection.send("GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\(head)\r\n")
                let answer = try await connection.answer()
                #expect(answer.status == 431, "\(head.prefix(20))")
                #expect(try answer.error()["code"] as? String == "headers_too_large")
            }
            let connection = try await RawConnection.open(port: server.port)
            connection.send("what is this?\r\n\r\n")
            #expect(try await connection.answer().status == 400)
        }
    }

    @Test func `a body that does not arrive in time is answered in the dialect's words`() async throws {
        var limits = ConnectionLimits()
        limits.body = .milliseconds(20)
        try await LoopbackServer.with(ScriptedNode { _ in .hello }, connections: limits) { server in
            for path in ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/api/chat"] {
                let connection = try await RawConnection.open(port: server.port)
                connection.send("POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
                let answer = try await connection.answer()
                #expect(answer.status == 408, "\(path)")
                #expect(try answer.object()["error"] != nil)
            }
        }
    }

    @Test func `a head that does not arrive in time ends the connection`() async throws {
        var limits = ConnectionLimits()
        limits.head = .milliseconds(20)
        try await LoopbackServer.with(ScriptedNode { _ in .hello }, connections: limits) { server in
            let connection = try await RawConnection.open(port: server.port)
            connection.send("GET / HTTP/1.1\r\nHost: loc")
            for await _ in connection.received { Issue.record("half a head was answered") }
        }
    }

    @Test func `a body longer than its limit is refused by its length alone`() async throws {
        try await LoopbackServer.with(ScriptedNode { _ in .hello }) { server in
            for path in ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/api/chat"] {
                let connection = try await RawConnection.open(port: server.port)
                let length = Dialects.Limits.bodyBytes + 1
                connection.send(
                    "POST \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: \(length)\r\n\r\n"
                )
                #expect(await connection.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 413"), "\(path)")
                connection.close()
            }
        }
    }

    @Test(arguments: [
        ("/v1/chat/completions", ": keep-alive\n\n", 1), ("/v1/responses", ": keep-alive\n\n", 1),
        // The first one follows the start of the message.
        ("/v1/messages", "event: ping\ndata: {\"type\":\"ping\"}\n\n", 3), ("/api/chat", "\"done\":false}\n", 2),
    ])
    func `a stream is opened while its first token is made, and kept alive`(
        path: String, sign: String, times: Int
    ) async throws {
        var limits = ConnectionLimits()
        limits.patience = .milliseconds(5)
        limits.silence = .milliseconds(5)
        let node = SteppedNode()
        try await LoopbackServer.with(node, connections: limits) { server in
            let connection = try await RawConnection.open(port: server.port)
            let body = path == "/v1/responses" ? ask(#""stream":true"#) : Self.message
            connection.send("POST", path, body)
            _ = try await node.begins.next()
            node.send([.started(promptTokens: 9, cachedTokens: 0)])
            let seen = await connection.read(until: sign, times: times)
            #expect(seen.hasPrefix("HTTP/1.1 200"))
            node.send([.text("Hello"), .end])
            var rest: [UInt8] = []
            for await chunk in connection.received { rest += chunk }
            #expect(String(decoding: rest, as: UTF8.self).contains("Hello"))
        }
    }

    @Test func `a client that reads nothing of an endless answer is disconnected, and its request ends`() async throws {
        var limits = ConnectionLimits()
        limits.stall = .milliseconds(20)
        let node = ScriptedNode { _ in .endless }
        try await LoopbackServer.with(node, connections: limits) { server in
            let connection = try await RawConnection.open(port: server.port, reads: false)
            connection.send("POST", "/v1/chat/completions", Self.chat)
            #expect(try await node.ends.next())
        }
    }

    @Test func `an error that comes after the stream was opened is an event`() async throws {
        var limits = ConnectionLimits()
        limits.patience = .milliseconds(5)
        let node = SteppedNode()
        try await LoopbackServer.with(node, connections: limits) { server in
            let connection = try await RawConnection.open(port: server.port)
            connection.send("POST", "/v1/chat/completions", Self.chat)
            _ = try await node.begins.next()
            _ = await connection.read(until: "HTTP/1.1 200")
            node.send([.failed(.engineFailed(reason: "it broke"))])
            let rest = await connection.read(until: "engine_failed")
            #expect(rest.contains(#"{"error""#))
        }
    }
}
