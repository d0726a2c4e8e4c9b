import NIOCore
import NIOPosix
import Testing
import Transport
import Vocabulary
import Wire

@Suite(.timeLimit(.minutes(1))) struct `Links` {
    private static let loopback = LinkAddress.tcp(host: "127.0.0.1", port: 0)

    @Test func `frames cross a Unix socket both ways in order`() async throws {
        try await Listener.withSocketPath { path in
            try await LinkPair.with(.unix(path: path)) { try await Self.exchange($0) }
        }
    }

    @Test func `frames cross loopback TCP both ways in order`() async throws {
        try await LinkPair.with(Self.loopback) { try await Self.exchange($0) }
    }

    private static func exchange(_ pair: LinkPair) async throws {
        var writer = FrameWriter(version: Handshake.versions.upperBound)
        for token in 0..<100 { try writer.ping(UInt64(token)) }
        pair.dialing.send(&writer)
        #expect(writer.isEmpty)
        for token in 100..<200 {
            try writer.ping(UInt64(token))
            pair.dialing.send(&writer)
        }
        for token in 0..<200 { try writer.pong(UInt64(token)) }
        pair.accepted.send(&writer)
        for token in 0..<200 {
            try expect(.ping, token, try await pair.acceptor.next())
            try expect(.pong, token, try await pair.dialer.next())
        }
    }

    private static func expect(_ kind: FrameKind, _ token: Int, _ event: LinkPeer.Event) throws {
        guard case .frame(kind, stream: 0, let body) = event else {
            Issue.record("expected \(kind) \(token), got \(event)")
            throw LinkClosure.failed(reason: "the frames do not come in order")
        }
        #expect(body.span.bytes.unsafeLoadUnaligned(as: UInt64.self) == UInt64(token))
    }

    @Test(arguments: [false, true]) func `a frame of two megabytes arrives whole`(overTCP: Bool) async throws {
        var random = SeededRandom(seed: 4)
        let body = (0..<(2 << 20)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        try await Listener.withSocketPath { path in
            try await LinkPair.with(overTCP ? Self.loopback : .unix(path: path)) { pair in
                var writer = FrameWriter(version: Handshake.versions.upperBound)
                try writer.report(body.span.bytes)
                try writer.ping(7)
                pair.dialing.send(&writer)
                guard case .frame(.report, _, let received) = try await pair.acceptor.next() else {
                    Issue.record("the large frame did not come first")
                    return
                }
                #expect(received == body)
                try Self.expect(.ping, 7, try await pair.acceptor.next())
            }
        }
    }

    @Test func `a wrong checksum ends the link as a broken protocol`() async throws {
        try await LinkPair.with(Self.loopback) { pair in
            var writer = FrameWriter(version: Handshake.versions.upperBound)
            try writer.ping(1)
            var bytes = writer.takeBuffer()
            bytes.setInteger(UInt8(0xA5), at: bytes.writerIndex - 1)
            try writer.ping(2)
            bytes.writeImmutableBuffer(writer.takeBuffer())
            pair.dialing.send(bytes)
            let event = try await pair.acceptor.next()
            guard case .closed(.protocolViolation(let reason)) = event else {
                Issue.record("the damaged frame or the one behind it was taken: \(event)")
                return
            }
            #expect(reason.contains("checksum") || reason.contains("CRC"))
            guard case .closed = try await pair.dialer.next() else {
                Issue.record("the sender was not told")
                return
            }
        }
    }

    @Test func `a frame before the handshake ends the link as a broken protocol`() async throws {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let acceptor = LinkPeer.acceptor(on: eventLoop)
        let listener = try await LinkEndpoint(on: eventLoop).listen(at: Self.loopback) { acceptor }
        let dialer = LinkPeer.dialer(on: eventLoop)
        let link = try await LinkEndpoint(on: eventLoop).connect(
            to: Listener.address(of: listener, asked: Self.loopback), delegate: dialer)
        var writer = FrameWriter(version: Handshake.versions.upperBound)
        try writer.ping(1)
        link.send(&writer)
        guard case .closed(.protocolViolation) = try await acceptor.next() else {
            Issue.record("a stranger's frame was taken")
            return
        }
        try await listener.close().get()
    }

    @Test func `the end of a link is told to both ends exactly once`() async throws {
        try await LinkPair.with(Self.loopback) { pair in
            pair.dialing.close()
            try await pair.dialing.channel.closeFuture.get()
            try await pair.accepted.channel.closeFuture.get()
            // Whatever would still be told is told on the event loop, before this comes back.
            for link in [pair.dialing, pair.accepted] {
                link.close()
                try await link.channel.eventLoop.submit {}.get()
            }
            pair.acceptor.finish()
            pair.dialer.finish()
            #expect(await pair.acceptor.closures() == [.closedByPeer])
            #expect(await pair.dialer.closures().count == 1)
        }
    }

    @Test func `an end made here is told apart from one made by the peer`() async throws {
        try await LinkPair.with(Self.loopback) { pair in
            pair.dialing.close()
            guard case .closed(let reason) = try await pair.dialer.next() else {
                Issue.record("something came before the end")
                return
            }
            #expect(reason == .closedHere)
        }
    }

    @Test func `what was sent before a close arrives`() async throws {
        try await LinkPair.with(Self.loopback) { pair in
            let body = [UInt8](repeating: 9, count: 8 << 20)
            var writer = FrameWriter(version: Handshake.versions.upperBound)
            try writer.report(body.span.bytes)
            pair.dialing.send(&writer)
            pair.dialing.close()
            guard case .frame(.report, _, let received) = try await pair.acceptor.next() else {
                Issue.record("the frame was lost with the link")
                return
            }
            #expect(received.count == body.count)
        }
    }

    @Test func `connecting where nobody listens fails with the address`() async throws {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let peer = LinkPeer.dialer(on: eventLoop)
        let once = try await LinkEndpoint(on: eventLoop).listen(at: Self.loopback) { peer }
        let gone = Listener.address(of: once, asked: Self.loopback)
        try await once.close().get()
        try await Listener.withSocketPath { path in
            for address in [LinkAddress.unix(path: path), gone] {
                do throws(LinkClosure) {
                    _ = try await LinkEndpoint(on: eventLoop).connect(to: address, delegate: peer)
                    Issue.record("\(address) answered")
                } catch {
                    guard case .failed(let reason) = error else {
                        Issue.record("not a failure to connect: \(error)")
                        continue
                    }
                    #expect(reason.contains("\(address)"))
                }
            }
        }
    }

    @Test func `listening where somebody listens already fails with the address`() async throws {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let peer = LinkPeer.acceptor(on: eventLoop)
        let listener = try await LinkEndpoint(on: eventLoop).listen(at: Self.loopback) { peer }
        let taken = Listener.address(of: listener, asked: Self.loopback)
        do throws(LinkClosure) {
            _ = try await LinkEndpoint(on: eventLoop).listen(at: taken) { peer }
            Issue.record("two listeners share \(taken)")
        } catch {
            #expect("\(error)".contains("\(taken)"))
        }
        try await listener.close().get()
    }
}
