import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Why an etcd did not do what it was asked.
enum EtcdFailure: Error, Sendable {
    /// Nobody answered, or nobody who can decide; it may be done all the same.
    case unreachable(String)
    /// It was not done. **Shape:** gRPC's code, one sentence.
    case refused(code: Int, String)
}

/// Calls to an etcd through its JSON gateway, at the endpoint that answered last and then at the others.
///
/// A call may be carried out twice, when an answer was lost and the next endpoint was asked: what is asked has to bear
/// it.
actor EtcdClient {
    private let address: EtcdAddress
    private let client: HTTPClient
    private var current = 0
    private var token: String?

    init(_ address: EtcdAddress, authority: [NIOSSLCertificate]?) {
        self.address = address
        var configuration = HTTPClient.Configuration()
        var tls = TLSConfiguration.makeClientConfiguration()
        if let authority { tls.trustRoots = .certificates(authority) }
        configuration.tlsConfiguration = tls
        configuration.httpVersion = .http1Only
        configuration.timeout = .init(
            connect: .milliseconds(EtcdLimits.connectMilliseconds), read: .milliseconds(EtcdLimits.answerMilliseconds))
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.redirectConfiguration = .disallow
        client = HTTPClient(
            eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup.singleton), configuration: configuration)
    }

    func close() async { try? await client.shutdown() }

    /// Says one last thing to the endpoint that answered last, also for a task that was cancelled: a future is waited
    /// for all the same.
    func sayLast(_ path: String, _ body: some Encodable & Sendable) async {
        guard let bytes = try? JSONEncoder().encode(body) else { return }
        _ = try? await post(address.endpoints[current], path, bytes, token).get()
    }

    /// Sends a question whole, in one turn of the event loop, on a connection of its own. An answer that comes before
    /// the last piece of the question is sent, and a connection that closes then, end the process when the connection
    /// was to be used again (AsyncHTTPClient 1.37.0, a precondition in `http1ConnectionReleased`); an etcd that stops
    /// does just that.
    private func post(
        _ endpoint: String, _ path: String, _ body: Data, _ token: String?
    ) throws -> HTTPClient.Task<HTTPClient.Response> {
        var headers = HTTPHeaders([("Content-Type", "application/json"), ("Connection", "close")])
        if let token { headers.add(name: "Authorization", value: token) }
        let request = try HTTPClient.Request(
            url: "\(address.usesTLS ? "https" : "http")://\(endpoint)/v3/\(path)", method: .POST, headers: headers,
            body: .byteBuffer(ByteBuffer(bytes: body)))
        return client.execute(
            request: request, delegate: ResponseAccumulator(request: request, maxBodySize: EtcdLimits.answerBytes),
            deadline: .now() + .milliseconds(EtcdLimits.answerMilliseconds))
    }

    func call<Answer: Decodable & Sendable>(
        _ path: String, _ body: some Encodable & Sendable, as type: Answer.Type = Answer.self
    ) async throws(EtcdFailure) -> Answer {
        let bytes: Data
        do {
            bytes = try JSONEncoder().encode(body)
        } catch {
            throw .refused(code: 3, "the question could not be written: \(error)")
        }
        do throws(EtcdFailure) {
            return try await send(path, bytes, try await header(), as: type)
        } catch {
            // A token lives for minutes, and ends with the etcd that gave it.
            guard case .refused(16, _) = error, address.user != nil else { throw error }
            token = nil
            return try await send(path, bytes, try await header(), as: type)
        }
    }

    private func header() async throws(EtcdFailure) -> String? {
        guard let user = address.user else { return nil }
        if let token { return token }
        let login = EtcdLogin(name: user, password: address.password ?? "")
        guard let bytes = try? JSONEncoder().encode(login) else { return nil }
        do throws(EtcdFailure) {
            token = try await send("auth/authenticate", bytes, nil, as: EtcdToken.self).token
        } catch {
            // Code 9: it asks nobody who he is.
            guard case .refused(9, _) = error else { throw error }
            return nil
        }
        return token
    }

    private func send<Answer: Decodable & Sendable>(
        _ path: String, _ body: Data, _ token: String?, as type: Answer.Type
    ) async throws(EtcdFailure) -> Answer {
        var reasons: [String] = []
        for _ in 0..<min(EtcdLimits.tries, address.endpoints.count) {
            let place = current
            let endpoint = address.endpoints[place]
            do throws(EtcdFailure) {
                return try await ask(endpoint, path, body, token, as: type)
            } catch {
                guard case .unreachable(let reason) = error else { throw error }
                reasons.append("\(endpoint): \(reason)")
                // Unless another call has moved on already.
                if current == place { current = (place + 1) % address.endpoints.count }
            }
            if Task.isCancelled { break }
        }
        throw .unreachable(reasons.joined(separator: "; "))
    }

    private func ask<Answer: Decodable & Sendable>(
        _ endpoint: String, _ path: String, _ body: Data, _ token: String?, as type: Answer.Type
    ) async throws(EtcdFailure) -> Answer {
        let status: UInt
        let bytes: Data
        do {
            let call = try post(endpoint, path, body, token)
            let response = try await withTaskCancellationHandler {
                try await call.get()
            } onCancel: {
                call.cancel()
            }
            status = UInt(response.status.code)
            bytes = response.body.map { Data($0.readableBytesView) } ?? Data()
        } catch {
            throw .unreachable(Self.reason(error))
        }
        guard status == 200 else { throw Self.refusal(status, bytes) }
        do {
            return try JSONDecoder().decode(type, from: bytes)
        } catch {
            throw .refused(
                code: 2, "what answers at \(endpoint) is no etcd of version 3.4 or newer; check the address.")
        }
    }

    private static func reason(_ error: any Error) -> String {
        if let error = error as? HTTPClientError {
            if error == .connectTimeout { return "no connection within \(EtcdLimits.connectMilliseconds) ms" }
            if error == .deadlineExceeded || error == .readTimeout {
                return "no answer within \(EtcdLimits.answerMilliseconds) ms"
            }
        }
        if let error = error as? IOError { return error.description }
        return String("\(error)".prefix(200))
    }

    private static func refusal(_ status: UInt, _ bytes: Data) -> EtcdFailure {
        guard let refusal = try? JSONDecoder().decode(EtcdRefusal.self, from: bytes), let code = refusal.code else {
            return .refused(
                code: 2, "what answers there is no etcd of version 3.4 or newer (HTTP \(status)); check the address.")
        }
        let text = String((refusal.message ?? refusal.error ?? "no reason given").prefix(200))
        switch code {
        case 4, 14: return .unreachable(text)
        // Its users changed since the token was given.
        case 3 where text.contains("revision of auth store"): return .refused(code: 16, text)
        case 3 where text.contains("authentication failed") || text.contains("user name is empty"), 7, 16:
            return .refused(code: code, "\(text); check user and password (SKEIN_ETCD_PASSWORD) and its rights.")
        case 8: return .refused(code: code, "\(text); compact and defragment it, or give it a larger quota.")
        default: return .refused(code: code, text)
        }
    }
}
