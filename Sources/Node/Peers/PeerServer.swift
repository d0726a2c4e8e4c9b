import Hummingbird
import HummingbirdCore
import Identity
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import ServiceLifecycle

/// The port where members of the cluster ask this node: HTTP over TLS, and only whoever shows a certificate of the
/// cluster and is still trusted gets as far as a route.
struct PeerServer: Sendable {
    private let security: ClusterSecurity
    /// Whoever has not shown a certificate is bounded, and does not get as far as HTTP.
    private let door: LinkDoor
    private let routes: PeerRoutes
    private let host: String
    private let port: Int
    /// Time a connection may be idle. **Units:** seconds.
    private let idleSeconds: Int64
    private let logger: Logger

    init(
        door: LinkDoor, routes: PeerRoutes, host: String, port: Int, idleSeconds: Int64 = PeerLimits.idleSeconds,
        logger: Logger
    ) {
        security = door.security
        self.door = door
        self.routes = routes
        self.host = host
        self.port = port
        self.idleSeconds = idleSeconds
        self.logger = logger
    }

    /// The server.
    func application() -> some ApplicationProtocol {
        let router = Router(context: PeerContext.self)
        router.add(middleware: PeerErrors(logger: logger))
        router.add(middleware: PeerProof(security: security))
        routes.add(to: router)
        var quiet = logger
        // The server library logs every request at info.
        quiet.logLevel = max(logger.logLevel, .warning)
        let (door, idleSeconds) = (door, idleSeconds)
        return Application(
            router: router,
            server: HTTPServerBuilder { responder in
                PeerChannel(
                    base: HTTP1Channel(
                        responder: responder,
                        configuration: HTTP1Channel.Configuration(idleTimeout: .seconds(idleSeconds))),
                    door: door)
            },
            configuration: ApplicationConfiguration(
                address: .hostname(host, port: port), backlog: PeerLimits.backlog,
                availableConnectionsDelegate: MaximumAvailableConnections(PeerLimits.connections)),
            eventLoopGroupProvider: .singleton, logger: quiet)
    }
}

/// HTTP/1.1 behind the TLS of the cluster.
private struct PeerChannel: ServerChildChannel {
    let base: HTTP1Channel
    let door: LinkDoor

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        channel.eventLoop.makeCompletedFuture { try door.accept(channel) }.flatMap {
            base.setup(channel: channel, logger: logger)
        }
    }

    func handle(value: HTTP1Channel.Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}

/// A request of a member.
struct PeerContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel
    /// Who asks; set before any route runs.
    var peer: PeerIdentity?

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }

    var maxUploadSize: Int { PeerLimits.bodyBytes }
}

/// Finds out who asks, and refuses whoever was removed or revoked since its certificate was issued.
private struct PeerProof: RouterMiddleware {
    let security: ClusterSecurity

    func handle(
        _ request: Request, context: PeerContext,
        next: @concurrent (Request, PeerContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        guard let certificate = try await context.channel.nioSSL_peerCertificate().get() else {
            throw PeerRefusal(.unauthorized, "The connection shows no certificate.")
        }
        do throws(CertificateRefusal) {
            context.peer = try security.peer(of: [certificate])
        } catch {
            throw PeerRefusal(.forbidden, "\(error)")
        }
        return try await next(request, context)
    }
}

/// An answer other than success: a status and a sentence.
struct PeerRefusal: Error {
    let status: HTTPResponse.Status
    let message: String

    init(_ status: HTTPResponse.Status, _ message: String) {
        self.status = status
        self.message = message
    }
}

/// Turns what routes throw into a status and a sentence.
private struct PeerErrors: RouterMiddleware {
    let logger: Logger

    func handle(
        _ request: Request, context: PeerContext,
        next: @concurrent (Request, PeerContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let refusal as PeerRefusal {
            return Self.response(refusal.status, refusal.message)
        } catch let error as any HTTPResponseError {
            return Self.response(error.status, "\(request.method) \(request.uri.path): \(error)")
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            logger.warning("a member's request failed", metadata: ["path": "\(request.uri.path)", "why": "\(error)"])
            return Self.response(.internalServerError, "\(error)")
        }
    }

    private static func response(_ status: HTTPResponse.Status, _ text: String) -> Response {
        Response(
            status: status, headers: [.contentType: "text/plain; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
