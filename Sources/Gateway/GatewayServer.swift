import Dialects
import HTTPTypes
package import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore
import ServiceLifecycle
import Vocabulary

/// The HTTP side of a node: routes of all dialects over one `Generating`.
package struct GatewayServer: Sendable {
    private let backend: any Generating
    private let store: (any ResponseStoring)?
    private let embedder: (any Embedding)?
    private let cluster: (any ClusterViewing)?
    private let keeper: (any ModelKeeping)?
    private let host: String
    private let port: Int
    private let fingerprint: String
    private let logger: Logger
    private let clock: GatewayClock
    private let gate: AccessGate
    private let errors: ErrorLog
    private let connections: ConnectionLimits

    /// Serves `backend` at `host:port`; port 0 lets the system choose. `fingerprint` names the build that answers;
    /// without a `store` no responses are kept; without an `embedder` there are no embeddings; without a `cluster` its
    /// routes do not exist; without a `keeper` no models are made; without `keys` nobody has one.
    package init(
        backend: any Generating, store: (any ResponseStoring)? = nil, embedder: (any Embedding)? = nil,
        cluster: (any ClusterViewing)? = nil, keeper: (any ModelKeeping)? = nil, host: String, port: Int,
        fingerprint: String,
        access: AccessPolicy = AccessPolicy(), keys: (any KeyProviding)? = nil,
        connections: ConnectionLimits = ConnectionLimits(), logger: Logger, clock: GatewayClock = .system
    ) {
        self.cluster = cluster
        self.keeper = keeper
        self.fingerprint = fingerprint
        self.clock = clock
        self.backend = backend
        self.store = store
        self.embedder = embedder
        self.host = host
        self.port = port
        self.logger = logger
        self.connections = connections
        gate = AccessGate(policy: access, keys: keys, clock: clock)
        errors = ErrorLog(logger: logger)
    }

    /// The HTTP application; `ready` gets the port once it is open.
    package func application(ready: @escaping @Sendable (Int) async -> Void) -> some ApplicationProtocol {
        let room = WaitingRoom(patience: connections.patience)
        let background = store.map { BackgroundResponses(backend: backend, store: $0, logger: logger) }
        let services: [any Service] = [room] + (background.map { [$0] } ?? [])
        return Application(
            router: router(room, background), server: .http1(configuration: channel),
            configuration: ApplicationConfiguration(
                address: .hostname(host, port: port), serverName: "skein", reuseAddress: true,
                availableConnectionsDelegate: MaximumAvailableConnections(
                    connections.connections + connections.refusedConnections, logger: logger)),
            services: services, onServerRunning: { channel in await ready(channel.localAddress?.port ?? port) },
            logger: logger)
    }

    /// The routes of all dialects; each group adds its own.
    private func router(_ room: WaitingRoom, _ background: BackgroundResponses?) -> Router<GatewayContext> {
        let router = Router(context: GatewayContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: StreamPace())
        router.add(middleware: CrossOriginMiddleware(policy: gate.policy))
        router.add(
            middleware: ErrorShape(
                errors: errors, hasCluster: cluster != nil, socketLifetime: connections.socketLifetime))
        router.add(middleware: AccessMiddleware(gate: gate))
        router.add(middleware: TimeoutMiddleware())
        OpenAIRoutes(backend: backend, room: room, fingerprint: fingerprint).add(to: router)
        AnthropicRoutes(backend: backend, room: room).add(to: router)
        OllamaRoutes(backend: backend, keeper: keeper, room: room, server: fingerprint, clock: clock).add(to: router)
        OperationsRoutes(backend: backend, errors: errors).add(to: router)
        EmbeddingRoutes(backend: backend, embedder: embedder, clock: clock).add(to: router)
        InspectionRoutes(backend: backend, room: room).add(to: router)
        DocumentRoutes(version: fingerprint).add(to: router)
        if let cluster { ClusterRoutes(cluster: cluster).add(to: router) }
        ResponsesRoutes(backend: backend, room: room, store: store, background: background, logger: logger)
            .add(to: router)
        return router
    }

    private var channel: HTTP1Channel.Configuration {
        let (limits, errors) = (connections, errors)
        let count = ConnectionCount(limit: limits.connections)
        return HTTP1Channel.Configuration(
            additionalChannelHandlers: [
                ConnectionGuard(limits: limits, count: count) { errors.record($0, .openAI, requestID: "") },
                DisconnectWatch(), StallWatch(patience: limits.stall), SilenceWatch(interval: limits.silence),
                SocketSwitch(limits: limits),
            ],
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: limits.headerFieldBytes, maxHeaderListSize: limits.headerBytes,
                maxHeaderFieldCount: limits.headerFields))
    }
}

/// Turns what routes throw, and routes that do not exist, into the dialect's error body.
struct ErrorShape: RouterMiddleware {
    let errors: ErrorLog
    /// Whether there are routes of the cluster.
    let hasCluster: Bool
    /// How long a WebSocket may be open.
    let socketLifetime: TimeAmount

    func handle(
        _ request: Request, context: GatewayContext,
        next: @concurrent (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        context.errors = errors
        context.socketLifetime = socketLifetime
        var response = try await shaped(request, context: context, next: next)
        // Every answer carries an identity a user can quote and an operator can find.
        if response.headers[.requestID] == nil { response.headers[.requestID] = context.id }
        if ErrorDialect(path: RoutePath(request.uri.path)) == .anthropic {
            response.headers[.anthropicRequestID] = response.headers[.requestID]
        }
        return response
    }

    private func shaped(
        _ request: Request, context: GatewayContext,
        next: @concurrent (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        let dialect = ErrorDialect(path: RoutePath(request.uri.path))
        do {
            return try await next(request, context)
        } catch let refusal as RequestRefusal {
            return dialect.response(ErrorReport(refusal), context)
        } catch let error as DialectError {
            return dialect.response(ErrorReport(error), context)
        } catch let error as GenerationError {
            return dialect.response(ErrorReport(error), context)
        } catch let error as Responses.StateError {
            return dialect.response(ErrorReport(error), context)
        } catch let error as BodyDeadlinePassed {
            let report = ErrorReport(RequestRefusal.requestTimeout(seconds: error.seconds))
            return dialect.response(report, context, headers: [.connection: "close"])
        } catch let error as any HTTPResponseError where error.status == .notFound {
            return unknown(request, context)
        } catch let error as any HTTPResponseError where error.status == .contentTooLarge {
            let refusal = RequestRefusal.bodyTooLarge(bytes: nil, limit: Dialects.Limits.bodyBytes)
            return dialect.response(ErrorReport(refusal), context)
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            context.logger.error("a route failed", metadata: ["error.type": "\(type(of: error))"])
            return dialect.response(ErrorReport(RequestRefusal.internalError(requestID: context.id)), context)
        }
    }
}

extension ErrorShape {
    /// Methods by path, for telling a wrong method from a wrong path.
    private static var methods: [(path: String, allowed: [String])] {
        [
            ("/v1/models", ["GET"]), ("/v1/chat/completions", ["POST"]), ("/v1/completions", ["POST"]),
            ("/v1/embeddings", ["POST"]),
            ("/v1/messages", ["POST"]), ("/v1/messages/count_tokens", ["POST"]),
            ("/", ["GET", "HEAD"]), ("/api/version", ["GET", "HEAD"]), ("/api/tags", ["GET", "HEAD"]),
            ("/api/ps", ["GET", "HEAD"]), ("/api/generate", ["POST"]), ("/api/chat", ["POST"]),
            ("/api/show", ["POST"]), ("/api/embed", ["POST"]), ("/api/embeddings", ["POST"]),
            ("/api/pull", ["POST"]), ("/api/push", ["POST"]), ("/api/create", ["POST"]), ("/api/copy", ["POST"]),
            ("/api/delete", ["DELETE"]), ("/api/blobs", ["HEAD", "POST"]),
            ("/healthz", ["GET"]), ("/readyz", ["GET"]), ("/metrics", ["GET"]), ("/openapi.json", ["GET"]),
            ("/docs", ["GET"]), ("/tokenize", ["POST"]), ("/detokenize", ["POST"]), ("/apply-template", ["POST"]),
        ]
    }

    /// The methods of a path of the table; nil for other paths.
    private static func allowed(of path: RoutePath) -> [String]? {
        let stems = ["/v1/models", "/api/blobs"].map { RoutePath($0) }
        let wanted = stems.first { path.components.starts(with: $0.components) } ?? path
        return methods.first { RoutePath($0.path) == wanted }?.allowed
    }

    private func unknown(_ request: Request, _ context: GatewayContext) -> Response {
        let method = request.method.rawValue
        let path = RoutePath(request.uri.path)
        let dialect = ErrorDialect(path: path)
        let allowed =
            Self.allowed(of: path) ?? ResponsesRoutes.methods(of: path)
            ?? (hasCluster ? ClusterRoutes.methods(of: path) : nil)
        guard let allowed else {
            let refusal = RequestRefusal.unknownRoute(method: method, path: request.uri.path)
            return dialect.response(ErrorReport(refusal), context)
        }
        let refusal = RequestRefusal.methodNotAllowed(method: method, allowed: allowed)
        var response = dialect.response(ErrorReport(refusal), context)
        response.headers[.allow] = allowed.joined(separator: ", ")
        return response
    }
}

extension Response {
    /// The response with what of its request has no effect, in a header.
    func telling(_ warnings: [String]) -> Response {
        var response = self
        if let text = DecodedRequest.warningHeader(warnings) { response.headers[.warnings] = text }
        return response
    }

    /// A response with a JSON body.
    init(status: HTTPResponse.Status = .ok, json: [UInt8], headers: HTTPFields = [:]) {
        var headers = headers
        headers[.contentType] = "application/json"
        self.init(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: json)))
    }
}
