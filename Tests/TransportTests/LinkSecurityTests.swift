import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Testing
import Transport
import Vocabulary
import Wire

@Suite(.timeLimit(.minutes(1))) struct `Links with TLS` {
    private static let loopback = LinkAddress.tcp(host: "127.0.0.1", port: 0)
    /// The name the committed certificate was made for.
    private static let name = "stage.skein.test"

    private static func fixture(_ name: String) throws -> [UInt8] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")
        return Array(try Data(contentsOf: folder.appending(path: name)))
    }

    private static func certificate() throws -> NIOSSLCertificate {
        try NIOSSLCertificate(bytes: try fixture("stage-certificate.pem"), format: .pem)
    }

    private static func accepting() throws -> LinkEndpoint.Options {
        let key = try NIOSSLPrivateKey(bytes: try fixture("stage-key.pem"), format: .pem)
        let tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: [.certificate(try certificate())], privateKey: .privateKey(key))
        let context = try NIOSSLContext(configuration: tls)
        var options = LinkEndpoint.Options()
        options.secure = { try $0.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context)) }
        return options
    }

    private static func dialing(trusting roots: [NIOSSLCertificate], name: String) throws -> LinkEndpoint.Options {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .certificates(roots)
        let context = try NIOSSLContext(configuration: tls)
        var options = LinkEndpoint.Options()
        options.secure = { channel in
            try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: context, serverHostname: name))
        }
        return options
    }

    @Test func `frames cross an encrypted link`() async throws {
        let dialing = try Self.dialing(trusting: [try Self.certificate()], name: Self.name)
        let body = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try await LinkPair.with(Self.loopback, dialing: dialing, accepting: try Self.accepting()) { pair in
            var writer = FrameWriter(version: Handshake.versions.upperBound)
            try writer.report(body.span.bytes)
            pair.dialing.send(&writer)
            try writer.report(body.reversed().span.bytes)
            pair.accepted.send(&writer)
            guard case .frame(.report, _, let there) = try await pair.acceptor.next(),
                case .frame(.report, _, let back) = try await pair.dialer.next()
            else {
                Issue.record("another event came first")
                return
            }
            #expect(there == body)
            #expect(back == body.reversed())
        }
    }

    /// What ends a link that `options` dial to a listener with the committed certificate.
    private static func closure(_ options: LinkEndpoint.Options) async throws -> LinkClosure? {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let acceptor = LinkPeer.acceptor(on: eventLoop)
        let listener = try await LinkEndpoint(on: eventLoop, options: accepting()).listen(at: loopback) { acceptor }
        let dialer = LinkPeer.dialer(on: eventLoop)
        do {
            let link = try await LinkEndpoint(on: eventLoop, options: options).connect(
                to: Listener.address(of: listener, asked: loopback), delegate: dialer)
            var writer = FrameWriter(version: Handshake.versions.upperBound)
            try writer.hello(Places.hello)
            link.send(&writer)
        } catch let closure as LinkClosure {
            try await listener.close().get()
            return closure
        }
        let event = try await dialer.next()
        try await listener.close().get()
        if case .closed(let reason) = event { return reason }
        Issue.record("the link was opened")
        return nil
    }

    private static func expectFailure(_ closure: LinkClosure?) {
        guard case .failed(let reason) = closure else {
            Issue.record("not a failure: \(String(describing: closure))")
            return
        }
        #expect(!reason.isEmpty)
    }

    @Test func `a peer nobody vouches for is refused`() async throws {
        Self.expectFailure(try await Self.closure(try Self.dialing(trusting: [], name: Self.name)))
    }

    @Test func `a peer of another name is refused`() async throws {
        let options = try Self.dialing(trusting: [try Self.certificate()], name: "other.skein.test")
        Self.expectFailure(try await Self.closure(options))
    }

    @Test func `a dialer in the clear does not reach an encrypted listener`() async throws {
        let closure = try #require(try await Self.closure(LinkEndpoint.Options()))
        #expect(closure == .closedByPeer || "\(closure)".contains("protocol"))
    }
}
