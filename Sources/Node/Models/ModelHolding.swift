import Cluster
import NIOCore

/// Other members as the library asks them for models.
protocol ModelHolding: Sendable {
    /// What a member tells of a model.
    func sheet(_ digest: String, of node: NodeID) async throws -> ModelSheet

    /// The digests of a model's blocks as a member has them; at most `limit` bytes.
    func blocks(_ digest: String, of node: NodeID, limit: Int) async throws -> [UInt8]

    /// A range of a model, taken piece by piece; `take` may refuse further ones by throwing.
    func bytes(
        _ digest: String, _ range: Range<UInt64>, of node: NodeID, take: @escaping @Sendable (ByteBuffer) throws -> Void
    ) async throws
}

extension PeerClient: ModelHolding {
    func sheet(_ digest: String, of node: NodeID) async throws -> ModelSheet {
        try await get("models/\(digest)", of: node, as: ModelSheet.self)
    }

    func blocks(_ digest: String, of node: NodeID, limit: Int) async throws -> [UInt8] {
        try await get("models/\(digest)/blocks", of: node, limit: limit)
    }

    func bytes(
        _ digest: String, _ range: Range<UInt64>, of node: NodeID, take: @escaping @Sendable (ByteBuffer) throws -> Void
    ) async throws {
        try await get(
            "models/\(digest)/bytes?from=\(range.lowerBound)&count=\(range.count)", of: node, take: take)
    }
}
