import AsyncHTTPClient
import Cluster
import Fabric
import FoundationEssentials
import Identity
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Why a member did not answer as hoped.
enum PeerError: Error, Sendable, CustomStringConvertible {
    /// The cluster's record tells no address of it, or no port.
    case unknown(NodeID)
    /// Nobody answered at any of its addresses.
    case unreachable(NodeID, reason: String)
    /// It answered with a refusal.
    case refused(NodeID, status: UInt, message: String)
    /// Its answer cannot be read.
    case unreadable(NodeID, reason: String)

    /// One sentence.
    var description: String {
        switch self {
        case .unknown(let node): "Node \(node) has not told yet where it is asked; try again in a moment."
        case .unreachable(let node, let reason): "Node \(node) does not answer: \(reason)"
        case .refused(let node, _, let message): "Node \(node): \(message)"
        case .unreadable(let node, let reason): "Node \(node) answered something that cannot be read: \(reason)"
        }
    }
}

/// Asks other members over their data ports. What answers must show the certificate of the node that was meant.
///
/// One HTTP client per member and address, since the name in the certificate is the node's and not its address's.
actor PeerClient {
    private struct Line {
        var client: HTTPClient
        var serial: String
    }

    private struct Way: Hashable {
        var node: NodeID
        var host: String
    }

    private let security: ClusterSecurity
    private let members: @Sendable (NodeID) async -> Member?
    private var lines: [Way: Line] = [:]
    /// The address of a member that answered last.
    private var worked: [NodeID: String] = [:]
    private var isClosed = false

    /// `members` answers a node's record.
    init(security: ClusterSecurity, members: @escaping @Sendable (NodeID) async -> Member?) {
        self.security = security
        self.members = members
    }

    /// Asks for JSON.
    func get<Value: Decodable & Sendable>(
        _ path: String, of node: NodeID, as type: Value.Type, seconds: Int64 = PeerLimits.answerSeconds
    ) async throws(PeerError) -> Value {
        let bytes = try await exchange(.GET, path, nil, node, seconds)
        return try Self.decode(type, bytes, node)
    }

    /// Sends JSON and expects some back.
    func post<Value: Decodable & Sendable>(
        _ path: String, _ body: some Encodable & Sendable, to node: NodeID, as type: Value.Type
    ) async throws(PeerError) -> Value {
        let bytes = try await exchange(.POST, path, try Self.encode(body, node), node, PeerLimits.answerSeconds)
        return try Self.decode(type, bytes, node)
    }

    /// Sends JSON and expects nothing back but success.
    func post(
        _ path: String, _ body: some Encodable & Sendable, to node: NodeID, seconds: Int64 = PeerLimits.answerSeconds
    ) async throws(PeerError) {
        _ = try await exchange(.POST, path, try Self.encode(body, node), node, seconds)
    }

    /// Sends bytes and expects some back.
    func post(
        _ path: String, bytes: [UInt8], to node: NodeID, seconds: Int64 = PeerLimits.answerSeconds
    ) async throws(PeerError) -> [UInt8] {
        try await exchange(.POST, path, bytes, node, seconds)
    }

    /// Asks for at most so many bytes.
    func get(_ path: String, of node: NodeID, limit: Int) async throws(PeerError) -> [UInt8] {
        try await exchange(.GET, path, nil, node, PeerLimits.answerSeconds, limit: limit)
    }

    /// Asks for bytes that are taken piece by piece; `take` may refuse further ones by throwing.
    func get(
        _ path: String, of node: NodeID, take: @Sendable (ByteBuffer) throws -> Void
    ) async throws {
        let response = try await send(.GET, path, nil, node, PeerLimits.rangeSeconds)
        for try await buffer in response.body { try take(buffer) }
    }

    /// Closes all connections; nothing can be asked afterwards.
    func close() async {
        isClosed = true
        let clients = lines.values.map(\.client)
        lines = [:]
        for client in clients { try? await client.shutdown() }
    }

    /// A member's addresses in the order they are tried.
    func hosts(of member: Member) -> [String] {
        var hosts: [String] = []
        for address in PeerAddress.ranked(member.addresses, worked: nil) where !hosts.contains(address.host) {
            hosts.append(address.host)
        }
        if let last = worked[member.node], let place = hosts.firstIndex(of: last) { hosts.swapAt(0, place) }
        return Array(hosts.prefix(PeerLimits.addresses))
    }

    /// The address at which a member answered last; nil before it did.
    func lastHost(of node: NodeID) -> String? { worked[node] }

    /// The name that a member's certificate has.
    nonisolated func serverName(of node: NodeID) -> String {
        NodeName(cluster: security.credentials.cluster, node: node).hostName
    }

    // MARK: One exchange

    private func exchange(
        _ method: HTTPMethodName, _ path: String, _ body: [UInt8]?, _ node: NodeID, _ seconds: Int64,
        limit: Int = PeerLimits.answerBytes
    ) async throws(PeerError) -> [UInt8] {
        let response = try await send(method, path, body, node, seconds)
        do {
            return Array(try await response.body.collect(upTo: limit).readableBytesView)
        } catch {
            throw .unreachable(node, reason: "its answer broke off: \(error)")
        }
    }

    enum HTTPMethodName: String {
        case GET
        case POST
    }

    private func send(
        _ method: HTTPMethodName, _ path: String, _ body: [UInt8]?, _ node: NodeID, _ seconds: Int64
    ) async throws(PeerError) -> HTTPClientResponse {
        guard let member = await members(node), member.dataPort > 0, !isClosed else { throw .unknown(node) }
        let hosts = hosts(of: member)
        guard !hosts.isEmpty else { throw .unknown(node) }
        var reasons: [String] = []
        for host in hosts {
            do {
                let client = try line(to: Way(node: node, host: host))
                var request = HTTPClientRequest(
                    url: "https://\(serverName(of: node)):\(member.dataPort)/peer/v1/\(path)")
                request.method = .init(rawValue: method.rawValue)
                if let body { request.body = .bytes(body) }
                let response = try await client.execute(request, timeout: .seconds(seconds))
                worked[node] = host
                guard (200..<300).contains(response.status.code) else {
                    let text = (try? await response.body.collect(upTo: 16 << 10)).map { String(buffer: $0) }
                    throw PeerError.refused(node, status: response.status.code, message: text ?? "no reason given")
                }
                return response
            } catch let error as PeerError {
                throw error
            } catch {
                reasons.append("\(host):\(member.dataPort): \(error)")
                if Task.isCancelled { break }
            }
        }
        throw .unreachable(node, reason: reasons.joined(separator: "; "))
    }

    private func line(to way: Way) throws -> HTTPClient {
        let serial = security.credentials.certificate.identity.serial
        if let known = lines[way], known.serial == serial { return known.client }
        var configuration = HTTPClient.Configuration()
        configuration.tlsConfiguration = try security.linkConfiguration(dialing: true)
        configuration.dnsOverride = [serverName(of: way.node): way.host]
        configuration.timeout = .init(
            connect: .seconds(PeerLimits.connectSeconds), read: .seconds(PeerLimits.silenceSeconds))
        configuration.httpVersion = .http1Only
        configuration.connectionPool.idleTimeout = .seconds(PeerLimits.idleSeconds / 2)
        // A pool that tries again would hide that the next address should be tried.
        configuration.connectionPool.retryConnectionEstablishment = false
        let client = HTTPClient(
            eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup.singleton), configuration: configuration)
        if let old = lines.updateValue(Line(client: client, serial: serial), forKey: way) {
            // Requests under way on it fail, and are rare: this happens when a certificate was renewed.
            old.client.shutdown { _ in }
        }
        return client
    }

    private static func encode(_ body: some Encodable, _ node: NodeID) throws(PeerError) -> [UInt8] {
        do {
            return Array(try JSONEncoder().encode(body))
        } catch {
            throw .unreadable(node, reason: "the question could not be written: \(error)")
        }
    }

    private static func decode<Value: Decodable>(
        _ type: Value.Type, _ bytes: [UInt8], _ node: NodeID
    ) throws(PeerError) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw .unreadable(node, reason: "\(error)")
        }
    }
}
