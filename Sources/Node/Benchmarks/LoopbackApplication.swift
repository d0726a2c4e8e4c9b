import Gateway
import Logging
import NIOCore
import ServiceLifecycle

/// A server inside this process, for benches.
struct LoopbackApplication: Sendable {
    private let make: @Sendable (@escaping @Sendable (Int) async -> Void) -> any Service

    /// The gateway before a node.
    static func gateway(_ node: any Generating) -> LoopbackApplication {
        var connections = ConnectionLimits()
        connections.connections = max(connections.connections, BenchLimits.heldStreams + 64)
        let limits = connections
        return LoopbackApplication { ready in
            GatewayServer(
                backend: node, host: "127.0.0.1", port: 0, fingerprint: "bench", connections: limits,
                logger: silence
            ).application(ready: ready)
        }
    }

    /// The bare HTTP server.
    static var echo: LoopbackApplication {
        LoopbackApplication { ready in
            BareServer(host: "127.0.0.1", port: 0, logger: silence).application(ready: ready)
        }
    }

    private static var silence: Logger {
        var logger = Logger(label: "bench")
        logger.logLevel = .critical
        return logger
    }

    /// Calls `body` while the server runs.
    ///
    /// **Throws:** what the server throws, and what `body` throws.
    func with<Value>(
        on eventLoop: any EventLoop, name: String, _ body: (LoadTarget) async throws -> Value
    ) async throws -> Value {
        let (ports, opened) = AsyncStream.makeStream(of: Int.self)
        let service = make { port in opened.yield(port) }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { opened.finish() }
                try await service.run()
            }
            defer { group.cancelAll() }
            var port: Int?
            for await first in ports {
                port = first
                break
            }
            guard let port else {
                try await group.next()
                throw BenchError.serverEnded(name: name, lines: [])
            }
            return try await body(
                LoadTarget(name: name, port: port, model: NullNode.model, eventLoop: eventLoop))
        }
    }
}
