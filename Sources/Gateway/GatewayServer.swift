import Dialects
import HTTPTypes
package import Hummingbird
package import Logging
import NIOCore

/// The HTTP side of a node: routes of all dialects over one `Generating`.
package struct GatewayServer: Sendable {
    private let backend: any Generating
    private let store: (any ResponseStoring)?
    private let cluster: (any ClusterViewing)?
    private let host: String
    private let port: Int
    private let fingerprint: String
    private let logger: Logger
    private let clock: GatewayClock

    /// Serves `backend` at `host:port`; port 0 lets the system choose. `fingerprint` names the build that answers;
    /// without a `store` no responses are kept, without a `cluster` its routes do not exist.
    package init(
        backend: any Generating, store: (any ResponseStoring)? = nil, cluster: (any ClusterViewing)? = nil,
        host: String, port: Int, fingerprint: String, logger: Logger, clock: GatewayClock = .system
    ) {
        self.cluster = cluster
        self.fingerprint = fingerprint
        self.clock = clock
        self.backend = backend
        self.store = store
        self.host = host
        self.port = port
        self.logger = logger
    }

    /// The HTTP application; `ready` gets the port once it is open.
    package func application(ready: @escaping @Sendable (Int) async -> Void) -> some ApplicationProtocol {
        let router = Router(context: GatewayContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: ErrorShape(hasCluster: cluster != nil))
        OpenAIRoutes(backend: backend, fingerprint: fingerprint).add(to: router)
        AnthropicRoutes(backend: backend).add(to: router)
        OllamaRoutes(backend: backend, server: fingerprint, clock: clock).add(to: router)
        OperationsRoutes(backend: backend).add(to: router)
        if let cluster { ClusterRoutes(cluster: cluster).add(to: router) }
        let background = store.map { BackgroundResponses(backend: backend, store: $0, logger: logger) }
        ResponsesRoutes(backend: backend, store: store, background: background, logger: logger).add(to: router)
        return Application(
            router: router,
            server: .http1(configuration: .init(additionalChannelHandlers: [DisconnectWatch()])),
            configuration: ApplicationConfiguration(
                address: .hostname(host, port: port), serverName: "skein", reuseAddress: true),
            services: background.map { [$0] } ?? [],
            onServerRunning: { channel in await ready(channel.localAddress?.port ?? port) }, logger: logger)
    }
}

/// Turns what routes throw, and routes that do not exist, into the dialect's error body.
struct ErrorShape<Context: RequestContext>: RouterMiddleware {
    /// Whether there are routes of the cluster.
    let hasCluster: Bool

    func handle(
        _ request: Request, context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        var response = try await shaped(request, context: context, next: next)
        // Every answer carries an identity a user can quote and an operator can find.
        if response.headers[.requestID] == nil { response.headers[.requestID] = context.id }
        if ErrorDialect(path: request.uri.path) == .anthropic {
            response.headers[.anthropicRequestID] = response.headers[.requestID]
        }
        return response
    }

    private func shaped(
        _ request: Request, context: Context, next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        let dialect = ErrorDialect(path: request.uri.path)
        do {
            return try await next(request, context)
        } catch let refusal as RequestRefusal {
            return dialect.response(ErrorReport(refusal), requestID: context.id)
        } catch let error as DialectError {
            return dialect.response(ErrorReport(error), requestID: context.id)
        } catch let error as Responses.StateError {
            return dialect.response(ErrorReport(error), requestID: context.id)
        } catch let error as any HTTPResponseError where error.status == .notFound {
            return unknown(request, context.id)
        } catch let error as any HTTPResponseError where error.status == .contentTooLarge {
            let refusal = RequestRefusal.bodyTooLarge(bytes: nil, limit: Dialects.Limits.bodyBytes)
            return dialect.response(ErrorReport(refusal), requestID: context.id)
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            context.logger.error("a route failed", metadata: ["error.type": "\(type(of: error))"])
            let refusal = RequestRefusal.internalError(requestID: context.id)
            return dialect.response(ErrorReport(refusal), requestID: context.id)
        }
    }
}

extension ErrorShape {
    /// Methods by path, for telling a wrong method from a wrong path.
    private static var methods: [(path: String, allowed: [String])] {
        [
            ("/v1/models", ["GET"]), ("/v1/chat/completions", ["POST"]), ("/v1/completions", ["POST"]),
            ("/v1/messages", ["POST"]), ("/v1/messages/count_tokens", ["POST"]),
            ("/", ["GET", "HEAD"]), ("/api/version", ["GET", "HEAD"]), ("/api/tags", ["GET", "HEAD"]),
            ("/api/ps", ["GET", "HEAD"]), ("/api/generate", ["POST"]), ("/api/chat", ["POST"]),
            ("/api/show", ["POST"]), ("/api/embed", ["POST"]), ("/api/embeddings", ["POST"]),
            ("/api/pull", ["POST"]), ("/api/push", ["POST"]), ("/api/create", ["POST"]), ("/api/copy", ["POST"]),
            ("/api/delete", ["DELETE"]), ("/api/blobs", ["HEAD", "POST"]),
            ("/healthz", ["GET"]), ("/readyz", ["GET"]), ("/metrics", ["GET"]),
        ]
    }

    private func unknown(_ request: Request, _ id: String) -> Response {
        let method = request.method.rawValue
        var path = request.uri.path
        let dialect = ErrorDialect(path: path)
        for stem in ["/v1/models", "/api/blobs"] where path.hasPrefix(stem + "/") { path = stem }
        let allowed =
            Self.methods.first { $0.path == path }?.allowed ?? ResponsesRoutes.methods(of: path)
            ?? (hasCluster ? ClusterRoutes.methods(of: path) : nil)
        guard let allowed else {
            let refusal = RequestRefusal.unknownRoute(method: method, path: request.uri.path)
            return dialect.response(ErrorReport(refusal), requestID: id)
        }
        let refusal = RequestRefusal.methodNotAllowed(method: method, allowed: allowed)
        var response = dialect.response(ErrorReport(refusal), requestID: id)
        response.headers[.allow] = allowed.joined(separator: ", ")
        return response
    }
}

extension Response {
    /// A response with a JSON body.
    init(status: HTTPResponse.Status = .ok, json: [UInt8], headers: HTTPFields = [:]) {
        var headers = headers
        headers[.contentType] = "application/json"
        self.init(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: json)))
    }

    /// An error in OpenAI's shape.
    init(_ report: ErrorReport, _ headers: HTTPFields = [:]) {
        var headers = headers
        if let seconds = report.retryAfterSeconds { headers[.retryAfter] = String(seconds) }
        self.init(status: .init(code: report.status), json: OpenAI.errorBody(report), headers: headers)
    }
}
