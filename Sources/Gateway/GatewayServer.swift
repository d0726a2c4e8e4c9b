import Dialects
import HTTPTypes
package import Hummingbird
package import Logging
import NIOCore

/// The HTTP side of a node: routes of all dialects over one `Generating`.
package struct GatewayServer: Sendable {
    private let backend: any Generating
    private let host: String
    private let port: Int
    private let logger: Logger

    /// Serves `backend` at `host:port`; port 0 lets the system choose.
    package init(backend: any Generating, host: String, port: Int, logger: Logger) {
        self.backend = backend
        self.host = host
        self.port = port
        self.logger = logger
    }

    /// The HTTP application; `ready` gets the port once it is open.
    package func application(ready: @escaping @Sendable (Int) async -> Void) -> some ApplicationProtocol {
        let router = Router(context: BasicRequestContext.self)
        router.add(middleware: ErrorShape())
        OpenAIRoutes(backend: backend, logger: logger).add(to: router)
        OperationsRoutes(backend: backend).add(to: router)
        return Application(
            router: router,
            configuration: ApplicationConfiguration(
                address: .hostname(host, port: port), serverName: "skein", reuseAddress: true),
            onServerRunning: { channel in await ready(channel.localAddress?.port ?? port) }, logger: logger)
    }
}

/// Turns what routes throw, and routes that do not exist, into the dialect's error body.
struct ErrorShape<Context: RequestContext>: RouterMiddleware {
    func handle(
        _ request: Request, context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let refusal as RequestRefusal {
            return Response(ErrorReport(refusal))
        } catch let error as DialectError {
            return Response(ErrorReport(error))
        } catch let error as any HTTPResponseError where error.status == .notFound {
            return Response(
                ErrorReport(RequestRefusal.unknownRoute(method: request.method.rawValue, path: request.uri.path)))
        } catch let error as any HTTPResponseError where error.status == .contentTooLarge {
            return Response(ErrorReport(RequestRefusal.bodyTooLarge(bytes: nil, limit: Dialects.Limits.bodyBytes)))
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            context.logger.error("a route failed", metadata: ["error.type": "\(type(of: error))"])
            return Response(ErrorReport(RequestRefusal.internalError(requestID: context.id)))
        }
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
    init(_ report: ErrorReport) {
        var headers = HTTPFields()
        if let seconds = report.retryAfterSeconds { headers[.retryAfter] = String(seconds) }
        self.init(status: .init(code: report.status), json: OpenAI.errorBody(report), headers: headers)
    }
}
