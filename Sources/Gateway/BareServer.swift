import HTTPTypes
package import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore

/// The HTTP server under the gateway with nothing on it but an echo: what a bench compares the gateway with.
package struct BareServer: Sendable {
    /// Most times a body is repeated.
    package static let repetitions = 65_536

    private let host: String
    private let port: Int
    private let logger: Logger

    /// Listens at `host:port`; port 0 lets the system choose.
    package init(host: String, port: Int, logger: Logger) {
        self.host = host
        self.port = port
        self.logger = logger
    }

    /// The application; `ready` gets the port once it is open.
    ///
    /// `POST /echo` answers with the request's body, and `POST /echo/N` with N times the body, one write each.
    package func application(ready: @escaping @Sendable (Int) async -> Void) -> some ApplicationProtocol {
        let router = Router()
        router.post("echo") { request, _ in
            let body = try await request.body.collect(upTo: Limits.echoBytes)
            return Response(status: .ok, headers: [.contentType: "application/json"], body: .init(byteBuffer: body))
        }
        router.post("echo/:count") { request, context in
            let count = min(context.parameters.get("count", as: Int.self) ?? 1, Self.repetitions)
            let body = try await request.body.collect(upTo: Limits.echoBytes)
            return Response(
                status: .ok, headers: [.contentType: "text/event-stream"],
                body: ResponseBody { writer in
                    for _ in 0..<max(count, 0) { try await writer.write(body) }
                    try await writer.finish(nil)
                })
        }
        return Application(
            router: router,
            configuration: ApplicationConfiguration(
                address: .hostname(host, port: port), serverName: "echo", reuseAddress: true),
            onServerRunning: { channel in await ready(channel.localAddress?.port ?? port) }, logger: logger)
    }
}
