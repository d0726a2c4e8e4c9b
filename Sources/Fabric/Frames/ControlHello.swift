package import Cluster
import NIOCore

/// Who is speaking, and how: the first frame of either side.
package struct ControlHello: Hashable, Sendable {
    /// First eight bytes of every hello, so that a stranger is told apart at once: `SKEINCTL`.
    static let magic: UInt64 = 0x4C54_434E_4945_4B53
    /// **Units:** bytes of what this release reads; newer ones may append.
    package static let byteCount = 52

    /// Versions of the frames the sender speaks.
    package var versions: ClosedRange<UInt16>
    /// The sender's cluster; 0 while it has none.
    package var cluster: UInt64
    /// The sender.
    package var node: NodeID
    /// Number of the sender's life: of two lives, the later one has the higher number.
    package var boot: UInt64
    /// The dialling side counts its connections, so that both sides agree which of two is the newer one.
    package var call: UInt64
    /// Random, new for every connection.
    package var nonce: UInt64

    /// Makes a hello.
    package init(
        versions: ClosedRange<UInt16> = FabricLimits.versions, cluster: UInt64, node: NodeID, boot: UInt64,
        call: UInt64, nonce: UInt64
    ) {
        self.versions = versions
        self.cluster = cluster
        self.node = node
        self.boot = boot
        self.call = call
        self.nonce = nonce
    }

    /// The body of its frame.
    package var body: [UInt8] {
        var buffer = ByteBuffer()
        buffer.writeInteger(Self.magic, endianness: .little)
        buffer.writeInteger(versions.lowerBound, endianness: .little)
        buffer.writeInteger(versions.upperBound, endianness: .little)
        for value in [cluster, node.value, boot, call, nonce] { buffer.writeInteger(value, endianness: .little) }
        return Array(buffer.readableBytesView)
    }

    /// Reads a hello; what a newer release appends is passed over.
    ///
    /// **Throws:** `FabricClosure.garbage` or `.truncated`.
    package init(body: [UInt8]) throws(FabricClosure) {
        var buffer = ByteBuffer(bytes: body)
        func number() throws(FabricClosure) -> UInt64 {
            guard let value = buffer.readInteger(endianness: .little, as: UInt64.self) else {
                throw .truncated(bytes: body.count)
            }
            return value
        }
        let magic = try number()
        guard magic == Self.magic else { throw .garbage(field: "the start of the hello", value: magic) }
        guard let oldest = buffer.readInteger(endianness: .little, as: UInt16.self),
            let newest = buffer.readInteger(endianness: .little, as: UInt16.self)
        else { throw .truncated(bytes: body.count) }
        guard oldest <= newest else { throw .garbage(field: "the newest version", value: UInt64(newest)) }
        versions = oldest...newest
        cluster = try number()
        node = NodeID(try number())
        boot = try number()
        call = try number()
        nonce = try number()
    }

    /// The newest version both speak.
    func agreed(with other: ControlHello) -> UInt16? {
        let newest = min(versions.upperBound, other.versions.upperBound)
        return newest >= max(versions.lowerBound, other.versions.lowerBound) ? newest : nil
    }

    /// Why these two do not talk to each other; nil when they may.
    func refusal(of other: ControlHello) -> FabricRefusal? {
        if other.node == node {
            return other.boot == boot
                ? FabricRefusal(.itself, "This is node \(node) itself; leave its own address out of the peers.")
                : FabricRefusal(
                    .clonedIdentity,
                    "Two machines use the identity of node \(node); remove the copied data folder from one of them.")
        }
        guard agreed(with: other) != nil else {
            return FabricRefusal(
                .versions,
                "Node \(node) speaks versions \(versions.lowerBound) to \(versions.upperBound) of the control channel, "
                    + "node \(other.node) \(other.versions.lowerBound) to \(other.versions.upperBound); "
                    + "update the older one.")
        }
        guard cluster == 0 || other.cluster == 0 || cluster == other.cluster else {
            return FabricRefusal(
                .otherCluster,
                "Node \(node) belongs to cluster \(ClusterID(cluster)), node \(other.node) to "
                    + "\(ClusterID(other.cluster)); a node changes its cluster by an empty data folder only.")
        }
        return nil
    }
}

/// A cluster's identity as people read it.
package struct ClusterID: Hashable, Sendable, CustomStringConvertible {
    /// The number behind it; 0 is none.
    package let value: UInt64

    /// Wraps a number.
    package init(_ value: UInt64) { self.value = value }

    /// Sixteen hexadecimal digits.
    package var description: String { NodeID(value).description }
}

extension FabricRefusal {
    var body: [UInt8] { [code.rawValue] + Array(description.utf8.prefix(FabricLimits.sentenceBytes)) }

    init(body: [UInt8]) {
        let code = body.first.flatMap { Code(rawValue: $0) } ?? .unknown
        let sentence = String(decoding: body.dropFirst().prefix(FabricLimits.sentenceBytes), as: UTF8.self)
        // It came from outside and goes to terminals and logs.
        self.init(
            code, String(sentence.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }.map(Character.init)))
    }
}
