import Cluster
import Fabric
import Foundation
import GGUF
import Identity
import ModelStore
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization
import SystemPackage
import Testing
import Vocabulary

@testable import Node

/// Sends bytes once it is connected, and gathers what comes until the other side closes.
private final class Talk: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let bytes: [UInt8]
    private let hangsUp: Bool
    private let heard: EventLoopPromise<String>
    private var text = ""

    init(_ bytes: [UInt8], hangsUp: Bool, heard: EventLoopPromise<String>) {
        self.bytes = bytes
        self.hangsUp = hangsUp
        self.heard = heard
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        // TLS never tells that nothing was sent.
        guard !bytes.isEmpty || !hangsUp else { return context.close(promise: nil) }
        let sent = context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)))
        if hangsUp { sent.whenComplete { _ in channel.close(promise: nil) } }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if text.utf8.count < 1 << 16 { text += String(buffer: unwrapInboundIn(data)) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        heard.succeed(text)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func handlerRemoved(context: ChannelHandlerContext) { heard.succeed(text) }
}

@Suite(.timeLimit(.minutes(2))) struct `The data port` {
    /// A node with the built-in model and its data port open, and another member of the cluster.
    private struct Pair {
        let security: ClusterSecurity
        let door: LinkDoor
        let peers: PeerClient
        let port: Int
        let digest: String
        let folder: String

        static let holder = NodeID(1)

        /// What the port answers to raw bytes until it closes; without TLS where `isMember` says so.
        func say(_ bytes: [UInt8], isMember: Bool = true, hangsUp: Bool = false) async throws -> String {
            let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
            let heard = eventLoop.makePromise(of: String.self)
            let (door, peers, port) = (door, peers, port)
            return try await within("an answer to \(bytes.count) bytes", seconds: 30) {
                let name = peers.serverName(of: Self.holder)
                do {
                    _ = try await ClientBootstrap(group: eventLoop)
                        .channelInitializer { channel in
                            channel.eventLoop.makeCompletedFuture {
                                if isMember { try door.dial(channel, named: name) }
                                let talk = Talk(bytes, hangsUp: hangsUp, heard: heard)
                                try channel.pipeline.syncOperations.addHandler(talk)
                            }
                        }
                        .connect(host: "127.0.0.1", port: port).get()
                } catch {
                    heard.succeed("")
                }
                return try await heard.futureResult.get()
            }
        }

        func ask(_ path: String, _ method: String = "GET", body: String = "") async throws -> String {
            try await say(
                Array(
                    ("\(method) /peer/v1/\(path) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                        + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)").utf8))
        }

        /// The other member is still served.
        func isWell() async throws -> Bool {
            try await peers.sheet(digest, of: Self.holder).byteCount > 0
        }
    }

    private static func security(_ authority: ClusterAuthority, _ node: UInt64) throws -> ClusterSecurity {
        let key = NodeKey()
        let request = try key.signingRequest(for: NodeID(node))
        let certificate = try authority.issue(request, for: NodeID(node), now: .current)
        let credentials = try NodeCredentials(key: key, certificate: certificate, authority: authority.certificate)
        return try ClusterSecurity(credentials) { .current }
    }

    private static func door(_ security: ClusterSecurity) -> LinkDoor {
        var limits = GateLimits()
        limits.attemptsPerMinute = 100_000
        let gate = ConnectionGate(limits: limits) {
            Instant(nanoseconds: Int64(NIODeadline.now().uptimeNanoseconds))
        }
        return LinkDoor(security: security, gate: gate, milliseconds: 2000)
    }

    private func with(
        idleSeconds: Int64 = PeerLimits.idleSeconds, _ body: @escaping @Sendable (Pair) async throws -> Void
    ) async throws {
        try await Fixture.withFolder { folder in
            let cluster = Identity.ClusterID(0xC1)
            let authority = try ClusterAuthority.found(try #require(cluster), now: .current)
            let (one, two) = (try Self.security(authority, 1), try Self.security(authority, 2))
            let port = try await FreePort.choose(0, host: "127.0.0.1", for: .data, mayMove: true)
            let peers = PeerClient(security: two) { node in
                var member = Member(node: node, name: "n\(node)")
                (member.addresses, member.dataPort) = (["127.0.0.1:1"], UInt32(port))
                return member
            }
            let alone = PeerClient(security: one) { _ in nil }
            let library = ModelLibrary(
                caches: NodeCaches(folder: "\(folder)/one"), dataFolder: folder, peers: alone, logger: Fixture.silence
            ) { _ in [] }
            let digest = try await library.add(path: Fixture.model).digest
            let (late, store) = (LateService(), try IdentityStore(dataDirectory: FilePath("\(folder)/identity")))
            let routes = PeerRoutes(
                joins: JoinReception(
                    store: store, peers: alone, versions: JoinVersions(release: "1.0.0"), service: late),
                renewals: CertificateOffice(
                    store: store, security: one, service: late, peers: alone, renewed: {}, logger: Fixture.silence),
                leaving: LeaveOffice(service: late), stages: StageHost(node: NodeID(1), peers: alone),
                library: library)
            let server = PeerServer(
                door: Self.door(one), routes: routes, host: "127.0.0.1", port: port, idleSeconds: idleSeconds,
                logger: Fixture.silence)
            let life = Task { try await server.application().run() }
            let pair = Pair(
                security: one, door: Self.door(two), peers: peers, port: port, digest: digest, folder: folder)
            let outcome: Result<Void, any Error>
            do {
                try await within("the port to open") {
                    try await until { (try? await pair.isWell()) == true }
                }
                outcome = .success(try await body(pair))
            } catch {
                outcome = .failure(error)
            }
            await peers.close()
            await alone.close()
            life.cancel()
            _ = await life.result
            try outcome.get()
        }
    }

    @Test func `gives a stage to another member, block by block`() async throws {
        try await with { pair in
            let sheet = try await pair.peers.sheet(pair.digest, of: Pair.holder)
            let library = ModelLibrary(
                caches: NodeCaches(folder: "\(pair.folder)/two"), dataFolder: "\(pair.folder)/two", peers: pair.peers,
                logger: Fixture.silence
            ) { _ in [Pair.holder] }
            let identity = ModelIdentity(digest: pair.digest, blocks: try #require(sheet.blocks))
            let layers = LayerRange(first: 1, end: 3)
            let file = try await library.stage(identity, layers: layers) { _ in }.file
            let plan = try ModelFile(path: Fixture.model).cutter().plan(layers)
            let own = try NodeCaches(folder: "\(pair.folder)/own").stages
                .materialise(plan, of: Fixture.model, digest: "d")
            #expect(
                try Data(contentsOf: URL(filePath: file.path)) == Data(contentsOf: URL(filePath: own.path)))
            #expect(await library.root(ofBlocksOf: pair.digest) == sheet.blocks)
        }
    }

    @Test func `strangers get nowhere, whatever they say`() async throws {
        try await with { pair in
            var random = SeededRandom(seed: 8)
            print("SEED=8")
            var speeches = (0..<30).map { _ in
                (0..<random.below(5000)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            }
            speeches += [[], Array("GET /peer/v1/models/\(pair.digest) HTTP/1.1\r\n\r\n".utf8)]
            // The beginning of a handshake that announces more than ever comes.
            speeches.append([22, 3, 1, 0xFF, 0xFF, 1, 0, 0xFF, 0xFF] + Array(repeating: 0, count: 3000))
            for speech in speeches {
                let answer = try await pair.say(speech, isMember: false)
                #expect(!answer.contains("HTTP/1.1 2") && !answer.contains("byteCount"))
            }
            #expect(try await pair.isWell())
        }
    }

    @Test func `what members say wrongly is refused, with a sentence where it can be read`() async throws {
        try await with { pair in
            let model = "models/\(pair.digest)"
            let refused: [(path: String, status: Int)] = [
                ("models/\(String(repeating: "0", count: 64))", 404), ("models/..%2F..%2Fetc", 404),
                ("models/\(String(repeating: "a", count: 3000))/blocks", 404),
                ("\(model)/bytes", 400), ("\(model)/bytes?from=-1&count=1", 400),
                ("\(model)/bytes?from=0&count=99999999999999999999", 400), ("\(model)/bytes?from=0&count=0", 416),
                ("\(model)/bytes?from=0&count=67108865", 416),
                ("\(model)/bytes?from=18446744073709551615&count=67108864", 416),
                ("stages/1", 400), ("stages/1-99999999999999999999", 400), ("stages/1-1", 404), ("nothing", 404),
            ]
            for (path, status) in refused {
                let answer = try await pair.ask(path)
                #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(path.prefix(80)): \(answer.prefix(200))")
            }
            for path in ["join", "renew", "stages/1-1/connect"] {
                for body in ["", "{", "\u{0}\u{1}", String(repeating: "[", count: 20_000)] {
                    let answer = try await pair.ask(path, "POST", body: body)
                    #expect(answer.hasPrefix("HTTP/1.1 400 "), "\(path): \(answer.prefix(200))")
                }
                let answer = try await pair.ask(path, "POST", body: String(repeating: "x", count: 300 << 10))
                #expect(answer.hasPrefix("HTTP/1.1 413 "), "\(path): \(answer.prefix(200))")
            }
            #expect(try await pair.isWell())
        }
    }

    @Test func `what members send that is no request ends their own connection alone`() async throws {
        // Connections that were refused in the middle of a request are closed when they have been idle for long enough,
        // and the port ends when all are.
        try await with(idleSeconds: 3) { pair in
            var random = SeededRandom(seed: 9)
            print("SEED=9")
            let head = "POST /peer/v1/renew HTTP/1.1\r\nHost: a\r\n"
            func says(_ name: String, _ rest: String, hangsUp: Bool = false) -> (String, [UInt8], Bool) {
                (name, Array((head + rest).utf8), hangsUp)
            }
            let garbage = (0..<4000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let speeches: [(String, [UInt8], Bool)] = [
                ("garbage", garbage, false),
                ("another version", Array("GET / HTTP/9.9\r\n\r\n".utf8), false),
                says("a long header", "A: " + String(repeating: "b", count: 1 << 20)),
                says("many headers", String(repeating: "A: b\r\n", count: 100_000)),
                says("an impossible length", "Content-Length: -1\r\n\r\n"),
                says("two lengths", "Content-Length: 1\r\nContent-Length: 2\r\n\r\nabc"),
                says("a broken chunk", "Transfer-Encoding: chunked\r\n\r\nZZ\r\n"),
                says("a cut body", "Content-Length: 100\r\n\r\nabc", hangsUp: true),
                says("a cut head", "", hangsUp: true),
                ("nothing", [], true),
            ]
            for (name, speech, hangsUp) in speeches {
                let answer = try await pair.say(speech, hangsUp: hangsUp)
                #expect(!answer.contains("HTTP/1.1 2"), "\(name): \(answer.prefix(200))")
                #expect(try await pair.isWell(), "\(name)")
            }
            // The same request again is the same answer again.
            let twice = "GET /peer/v1/models/\(pair.digest) HTTP/1.1\r\nHost: a\r\n\r\n"
            let answer = try await pair.say(
                Array((twice + twice + twice.replacing("Host", with: "Connection: close\r\nHost")).utf8))
            #expect(answer.split(separator: "HTTP/1.1 200 OK").count == 3, "\(answer.prefix(400))")
        }
    }

    @Test func `a node that was removed is refused on the connection it has, and on a new one`() async throws {
        try await with { pair in
            var trust = PeerTrust()
            trust.removed = [NodeID(2)]
            pair.security.trust = trust
            await #expect(throws: PeerError.self) { _ = try await pair.isWell() }
            let refusal = try await pair.ask("models/\(pair.digest)")
            #expect(!refusal.contains("byteCount"))
            pair.security.trust = PeerTrust()
            let isWell = try await pair.isWell()
            #expect(isWell)
        }
    }
}
