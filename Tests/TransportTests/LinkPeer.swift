import Foundation
import NIOCore
import NIOPosix
import Testing
import Transport
import Vocabulary
import Wire

/// One end of a link that shakes hands and then keeps what it is told, in order.
final class LinkPeer: FrameLinkDelegate {
    enum Event: Sendable {
        case opened(FrameLink)
        case frame(FrameKind, stream: UInt32, body: [UInt8])
        case closed(LinkClosure)
    }

    private enum Side: Sendable {
        case acceptor(Acceptor)
        case dialer(Hello)
    }

    private let events: AsyncStream<Event>
    private let sink: AsyncStream<Event>.Continuation
    private let side: Side
    /// Only the link's event loop touches it.
    private let isOpen: NIOLoopBoundBox<Bool>

    private init(_ side: Side, on eventLoop: any EventLoop) {
        self.side = side
        isOpen = .makeBoxSendingValue(false, eventLoop: eventLoop)
        (events, sink) = AsyncStream.makeStream(of: Event.self)
    }

    static func acceptor(on eventLoop: any EventLoop) -> LinkPeer {
        LinkPeer(.acceptor(Places.acceptor), on: eventLoop)
    }

    static func dialer(on eventLoop: any EventLoop) -> LinkPeer { LinkPeer(.dialer(Places.hello), on: eventLoop) }

    /// What the peer is told next; throws when that does not come before the test's time limit.
    func next() async throws -> Event {
        for await event in events { return event }
        throw CancellationError()
    }

    /// The reasons of all ends that the peer is told from now on until `finish` was called.
    func closures() async -> [LinkClosure] {
        var found: [LinkClosure] = []
        for await event in events {
            if case .closed(let reason) = event { found.append(reason) }
        }
        return found
    }

    /// No event is added any more.
    func finish() { sink.finish() }

    func link(_ link: FrameLink, received frame: InboundFrame) {
        guard !isOpen.value else {
            let body = Array(frame.body.readableBytesView)
            sink.yield(.frame(frame.header.kind, stream: frame.header.stream, body: body))
            return
        }
        do {
            try shakeHands(link, frame)
            isOpen.value = true
            sink.yield(.opened(link))
        } catch {
            Issue.record("the handshake failed: \(error)")
            link.close()
        }
    }

    func link(_ link: FrameLink, closed reason: LinkClosure) { sink.yield(.closed(reason)) }

    private func shakeHands(_ link: FrameLink, _ frame: InboundFrame) throws {
        let body = frame.body.readableBytesSpan
        switch side {
        case .acceptor(let acceptor):
            guard case .welcome(let welcome) = try Handshake.answer(frame.header, body: body, by: acceptor) else {
                throw LinkClosure.failed(reason: "the hello was refused")
            }
            var writer = FrameWriter(version: Handshake.versions.upperBound)
            try writer.welcome(welcome)
            link.send(&writer)
            link.establish(.established(version: welcome.version))
        case .dialer(let hello):
            guard case .welcome(let welcome) = try Handshake.parse(frame.header, body: body) else {
                throw LinkClosure.failed(reason: "no welcome came back")
            }
            try Handshake.check(welcome, against: hello)
            link.establish(.established(version: welcome.version))
        }
    }
}

/// The two ends the tests speak of: a stage and the one behind it.
enum Places {
    static let first = StagePlace(index: 0, layers: LayerRange(first: 0, end: 4))
    static let second = StagePlace(index: 1, layers: LayerRange(first: 4, end: 8))

    private static var digest: ModelDigest {
        guard let digest = ModelDigest(hexadecimal: String(repeating: "5c", count: 32)) else {
            preconditionFailure("64 hexadecimal digits are a digest")
        }
        return digest
    }

    static var hello: Hello {
        Hello(
            cluster: "tests", placement: "tiny", epoch: Epoch(term: 1, number: 1), role: .upstream, sender: first,
            receiver: second, model: digest, width: 8, format: .f32)
    }

    static var acceptor: Acceptor {
        Acceptor(
            cluster: "tests", placement: "tiny", epoch: Epoch(term: 1, number: 1), place: second, previous: first,
            last: second, model: digest, width: 8, format: .f32, roles: [.upstream])
    }
}

/// Two peers that have shaken hands, and the links between them.
struct LinkPair {
    let dialer: LinkPeer
    let acceptor: LinkPeer
    let dialing: FrameLink
    let accepted: FrameLink

    /// Listens, connects, shakes hands, calls `body`, and closes everything.
    static func with(
        _ place: LinkAddress, dialing: LinkEndpoint.Options = .init(), accepting: LinkEndpoint.Options = .init(),
        _ body: (LinkPair) async throws -> Void
    ) async throws {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let acceptor = LinkPeer.acceptor(on: eventLoop)
        let listener = try await LinkEndpoint(on: eventLoop, options: accepting).listen(at: place) { acceptor }
        let address = Listener.address(of: listener, asked: place)
        do {
            let dialer = LinkPeer.dialer(on: eventLoop)
            let link = try await LinkEndpoint(on: eventLoop, options: dialing).connect(to: address, delegate: dialer)
            var writer = FrameWriter(version: Handshake.versions.upperBound)
            try writer.hello(Places.hello)
            link.send(&writer)
            guard case .opened(let accepted) = try await acceptor.next(), case .opened = try await dialer.next() else {
                throw LinkClosure.failed(reason: "the first event is not the handshake")
            }
            try await body(LinkPair(dialer: dialer, acceptor: acceptor, dialing: link, accepted: accepted))
            try? await link.channel.close().get()
        } catch {
            try? await listener.close().get()
            throw error
        }
        try await listener.close().get()
    }
}

/// Where tests listen.
enum Listener {
    /// The address under which a listener is reached; a port of 0 is replaced by the real one.
    static func address(of channel: any Channel, asked: LinkAddress) -> LinkAddress {
        guard case .tcp(let host, _) = asked, let port = channel.localAddress?.port else { return asked }
        return .tcp(host: host, port: port)
    }

    /// Calls `body` with a Unix socket's path, short enough for every system, in a folder of its own.
    static func withSocketPath(_ body: (String) async throws -> Void) async throws {
        let folder = URL(filePath: "/tmp/skt-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(folder.appending(path: "link").path)
    }
}
