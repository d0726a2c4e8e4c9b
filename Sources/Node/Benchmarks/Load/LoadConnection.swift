import NIOCore
import NIOHTTP1
import NIOPosix

/// A server under load, on this machine.
struct LoadTarget: Sendable {
    /// What reports and errors call it.
    var name: String
    var port: Int
    /// The model requests name.
    var model: String
    /// The event loop of all connections to it: the load generator takes at most one core.
    var eventLoop: any EventLoop

    /// Calls `body` with an event loop that nothing else uses.
    static func withEventLoop<Value: Sendable>(
        _ body: (any EventLoop) async throws -> Value
    ) async throws -> Value {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let outcome: Result<Value, any Error>
        do { outcome = .success(try await body(group.next())) } catch { outcome = .failure(error) }
        try await group.shutdownGracefully()
        return try outcome.get()
    }

    /// The answers to requests that are sent at once, each on a connection of its own that is open before.
    func answers(to requests: [LoadRequest]) async throws -> [LoadRecord] {
        try await LoadConnection.with(requests.count, to: self) { connections in
            try await withThrowingTaskGroup(of: (Int, LoadRecord).self) { group in
                for (index, request) in requests.enumerated() {
                    let connection = connections[index]
                    group.addTask { (index, try await connection.answer(to: request)) }
                }
                var records = [LoadRecord](repeating: LoadRecord(), count: requests.count)
                for try await (index, record) in group { records[index] = record }
                return records
            }
        }
    }
}

/// A connection that carries one request after the other.
struct LoadConnection: Sendable {
    private let channel: any Channel
    private let handler: NIOLoopBound<LoadHandler>

    /// Opens a connection.
    ///
    /// **Throws:** what the system says when nobody listens there.
    static func open(_ target: LoadTarget) async throws -> LoadConnection {
        try await ClientBootstrap(group: target.eventLoop)
            .connect(host: "127.0.0.1", port: target.port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = LoadHandler(authority: "127.0.0.1:\(target.port)")
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(handler)
                    return LoadConnection(
                        channel: channel, handler: NIOLoopBound(handler, eventLoop: channel.eventLoop))
                }
            }
    }

    /// Calls `body` with open connections and closes them.
    static func with<Value>(
        _ count: Int, to target: LoadTarget, _ body: ([LoadConnection]) async throws -> Value
    ) async throws -> Value {
        var connections: [LoadConnection] = []
        defer { for connection in connections { connection.close() } }
        for _ in 0..<count { connections.append(try await open(target)) }
        return try await body(connections)
    }

    /// Sends a request and reads its answer.
    ///
    /// **Throws:** `CancellationError`; every other end is the record's.
    func answer(to request: LoadRequest) async throws -> LoadRecord {
        let promise = channel.eventLoop.makePromise(of: LoadRecord.self)
        let handler = handler
        channel.eventLoop.execute { handler.value.start(request, promise) }
        let record = try await withTaskCancellationHandler {
            try await promise.futureResult.get()
        } onCancel: {
            close()
        }
        try Task.checkCancellation()
        return record
    }

    /// Closes the connection; an answer under way is cut.
    func close() { channel.close(promise: nil) }
}
