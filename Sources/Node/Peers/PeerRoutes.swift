import FoundationEssentials
import HTTPTypes
import Hummingbird
import Identity
import NIOCore
import Vocabulary

/// What members may ask of this node.
///
/// | route | body | answer |
/// |---|---|---|
/// | `POST /peer/v1/join` | a request to join that another member took | the leader's decision |
/// | `POST /peer/v1/renew` | `RenewalRequest` | `RenewalReply` |
/// | `POST /peer/v1/leave` | `{}` | `LeaveReply`: whoever asks is removed |
/// | `GET /peer/v1/stages/EPOCH` | | `StagePost` of this node's stage in that epoch |
/// | `POST /peer/v1/stages/EPOCH/connect` | `StageConnect` | 204 once its links are open |
/// | `GET /peer/v1/models/DIGEST` | | `ModelSheet` |
/// | `GET /peer/v1/models/DIGEST/blocks` | | the digests of the file's blocks (`BlockDigests.bytes`) |
/// | `GET /peer/v1/models/DIGEST/bytes?from=&count=` | | that many bytes of the file |
struct PeerRoutes: Sendable {
    let joins: JoinReception
    let renewals: CertificateOffice
    let leaving: LeaveOffice
    let stages: StageHost
    let library: ModelLibrary
    /// Bytes read from a file at once.
    private static let chunkBytes = 1 << 20

    func add(to router: Router<PeerContext>) {
        let routes = router.group("peer/v1")
        routes.post("join") { request, _ in
            let body = try await Self.body(request)
            guard let wish = JoinRequest(bytes: body) else {
                throw PeerRefusal(.badRequest, "The body is no request to join.")
            }
            return Self.bytes(await joins.answerPassedOn(wish).bytes)
        }
        routes.post("renew") { request, context in
            guard let peer = context.peer else { throw PeerRefusal(.unauthorized, "Nobody knows who asks.") }
            let wish = try Self.decode(RenewalRequest.self, try await Self.body(request))
            return try Self.json(await renewals.renew(wish, for: peer))
        }
        routes.post("leave") { _, context in
            guard let peer = context.peer else { throw PeerRefusal(.unauthorized, "Nobody knows who asks.") }
            return try Self.json(await leaving.remove(peer.node))
        }
        routes.get("stages/:epoch") { _, context in
            try Self.json(try await stages.post(of: try Self.epoch(context)))
        }
        routes.post("stages/:epoch/connect") { request, context in
            let wish = try Self.decode(StageConnect.self, try await Self.body(request))
            try await stages.connect(try Self.epoch(context), wish)
            return Response(status: .noContent)
        }
        routes.get("models/:digest") { _, context in
            try Self.json(try await library.sheet(try context.parameters.require("digest")))
        }
        routes.get("models/:digest/blocks") { _, context in
            Self.bytes(try await library.blockList(try context.parameters.require("digest")))
        }
        routes.get("models/:digest/bytes") { request, context in
            let digest = try context.parameters.require("digest")
            let from: UInt64 = try Self.number("from", request)
            let count: UInt64 = try Self.number("count", request)
            return try await send(digest, from, count, context)
        }
    }

    private func send(_ digest: String, _ from: UInt64, _ count: UInt64, _ context: PeerContext) async throws
        -> Response
    {
        let (path, length) = try await library.file(digest)
        guard (1...PeerLimits.rangeBytes).contains(count), from <= length, count <= length - from else {
            throw PeerRefusal(
                .rangeNotSatisfiable,
                "\(count) bytes from \(from) on are asked for; the file has \(length), and one request takes "
                    + "1 … \(PeerLimits.rangeBytes).")
        }
        let body = try await FileIO().loadFile(
            path: path, range: Int(from)...Int(from + count - 1), context: context, chunkLength: Self.chunkBytes)
        return Response(status: .ok, headers: [.contentType: "application/octet-stream"], body: body)
    }

    private static func epoch(_ context: PeerContext) throws -> Epoch {
        let text = try context.parameters.require("epoch")
        guard let epoch = Epoch(pathText: text) else {
            throw PeerRefusal(.badRequest, "The epoch is '\(text.prefix(64))'; it is written TERM-NUMBER.")
        }
        return epoch
    }

    private static func number(_ name: String, _ request: Request) throws -> UInt64 {
        guard let text = request.uri.queryParameters.get(name), let number = UInt64(text) else {
            throw PeerRefusal(.badRequest, "\(name) is missing or no number of bytes.")
        }
        return number
    }

    private static func body(_ request: Request) async throws -> [UInt8] {
        Array(try await request.body.collect(upTo: PeerLimits.bodyBytes).readableBytesView)
    }

    private static func decode<Value: Decodable>(_ type: Value.Type, _ body: [UInt8]) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(body))
        } catch {
            throw PeerRefusal(.badRequest, "The body is no \(type): \(error)")
        }
    }

    private static func json(_ value: some Encodable) throws -> Response {
        var headers = HTTPFields()
        headers[.contentType] = "application/json"
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: try JSONEncoder().encode(value))))
    }

    private static func bytes(_ bytes: [UInt8]) -> Response {
        Response(status: .ok, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}
