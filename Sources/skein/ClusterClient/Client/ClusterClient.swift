import AsyncHTTPClient
import NIOCore
import NIOHTTP1

/// Asks one node over its HTTP API.
struct ClusterClient: Sendable {
    /// What is done with what a path names.
    enum Method: Sendable {
        case get
        case post
        case delete
    }

    /// Whom to ask, and as whom.
    struct Settings: Sendable {
        var address: NodeAddress
        var key: String?
        var limits = ClientLimits()
        /// Whether events are to be followed, whose stream has no end.
        var isWatching = false
    }

    let settings: Settings
    private let http: HTTPClient

    private var node: String { settings.address.description }

    /// Opens a client, calls `body` and closes it.
    static func with<Value>(
        _ settings: Settings, _ body: (ClusterClient) async throws -> Value
    ) async throws -> Value {
        var configuration = HTTPClient.Configuration()
        // A key goes to the node that was named, and to nobody that it names.
        configuration.redirectConfiguration = .disallow
        configuration.timeout.connect = settings.limits.connecting.timeAmount
        // Other requests have a time of their own for the whole answer.
        configuration.timeout.read = settings.isWatching ? settings.limits.silence.timeAmount : nil
        // A port that is closed is closed: somebody waits for the answer.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        let http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        do {
            let value = try await body(ClusterClient(settings: settings, http: http))
            try? await http.shutdown()
            return value
        } catch {
            try? await http.shutdown()
            throw error
        }
    }

    /// The answer to a question.
    func get(_ path: String) async throws(ClusterClientError) -> ClusterAnswer { try await send(.get, path) }

    /// The answer to a request; `extra` is how much longer than usual it may take.
    ///
    /// **Throws:** why there is none, or what it refuses.
    func send(
        _ method: Method, _ path: String, body: [UInt8]? = nil, extra: Duration = .zero
    ) async throws(ClusterClientError) -> ClusterAnswer {
        let request = request(method, path, body: body)
        let patience = settings.limits.patience + extra
        let answer: (status: Int, bytes: [UInt8])?
        do {
            answer = try await within(patience) { try await whole(request) }
        } catch {
            throw ClusterClientError(error, node: node)
        }
        guard let answer else { throw .slow(node, seconds: patience.components.seconds) }
        return try ClusterAnswer(
            status: answer.status, bytes: answer.bytes, from: node, withKey: settings.key != nil)
    }

    /// The events behind `last`, each given to `receive`, until the stream has been silent for long.
    ///
    /// **Throws:** why it ended before that, `cut` when it just did, `slow` when it did not even begin.
    func events(
        after last: String?, _ receive: (ServerEvent) throws(ClusterClientError) -> Void
    ) async throws(ClusterClientError) {
        var request = request(.get, "/cluster/v1/events")
        request.headers.add(name: "Accept", value: "text/event-stream")
        if let last { request.headers.add(name: "Last-Event-ID", value: last) }
        do {
            let response = try await head(request)
            guard response.status == .ok else {
                _ = try ClusterAnswer(
                    status: Int(response.status.code), bytes: try await collect(response.body), from: node,
                    withKey: settings.key != nil)
                throw ClusterClientError.foreign(node, finding: "status \(response.status.code) instead of events")
            }
            guard response.headers.first(name: "content-type")?.hasPrefix("text/event-stream") == true else {
                throw ClusterClientError.foreign(node, finding: "it sends no events")
            }
            var reader = ServerEventReader(limit: settings.limits.answerBytes)
            do {
                for try await piece in response.body {
                    for event in try reader.read(piece.readableBytesView) { try receive(event) }
                }
            } catch let error as HTTPClientError where error == .readTimeout {
                return
            }
        } catch {
            throw ClusterClientError(error, node: node)
        }
        throw .cut(node)
    }

    // MARK: Requests

    private func request(_ method: Method, _ path: String, body: [UInt8]? = nil) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: node + path)
        switch method {
        case .get: request.method = .GET
        case .post: request.method = .POST
        case .delete: request.method = .DELETE
        }
        if let key = settings.key { request.headers.add(name: "Authorization", value: "Bearer \(key)") }
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: body))
        }
        return request
    }

    @concurrent private func head(_ request: HTTPClientRequest) async throws -> HTTPClientResponse {
        try await http.execute(request, deadline: .distantFuture)
    }

    @concurrent private func whole(_ request: HTTPClientRequest) async throws -> (status: Int, bytes: [UInt8]) {
        let response = try await head(request)
        return (Int(response.status.code), try await collect(response.body))
    }

    @concurrent private func collect(_ body: HTTPClientResponse.Body) async throws -> [UInt8] {
        let limit = settings.limits.answerBytes
        var bytes: [UInt8] = []
        for try await piece in body {
            guard piece.readableBytes <= limit - bytes.count else {
                throw ClusterClientError.tooLong(node, limit: limit)
            }
            bytes.append(contentsOf: piece.readableBytesView)
        }
        return bytes
    }

    /// What `work` gives; nil when it takes longer.
    private func within<Value: Sendable>(
        _ time: Duration, _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value? {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await work() }
            group.addTask {
                try await Task.sleep(for: time)
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
    }
}

extension Duration {
    fileprivate var timeAmount: TimeAmount {
        .nanoseconds(components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000)
    }
}
