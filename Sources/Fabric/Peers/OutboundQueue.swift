import Cluster
import NIOCore

/// Messages waiting for one peer, within a number and a size. When there is no room, the oldest probes go first: a
/// late probe is worth nothing, and every message may be lost.
struct OutboundQueue {
    private struct Waiting {
        var body: [UInt8]
        var isProbe: Bool
    }

    private var waiting: [Waiting] = []
    private(set) var bytes = 0
    /// Messages that were dropped, ever.
    private(set) var dropped = 0

    var isEmpty: Bool { waiting.isEmpty }
    var count: Int { waiting.count }

    mutating func add(_ message: ClusterMessage) {
        let body = message.encodedBytes
        guard body.count <= FabricLimits.messageBytes else {
            dropped += 1
            return
        }
        waiting.append(Waiting(body: body, isProbe: message.isProbe))
        bytes += body.count
        while waiting.count > FabricLimits.queueCount || bytes > FabricLimits.queueBytes { drop() }
    }

    private mutating func drop() {
        let index = waiting.firstIndex(where: \.isProbe) ?? 0
        bytes -= waiting.remove(at: index).body.count
        dropped += 1
    }

    /// Takes the messages out that fit `room` bytes, at least one.
    mutating func take(room: Int) -> [[UInt8]] {
        var size = 0
        var end = 0
        while end < waiting.count, end == 0 || size + waiting[end].body.count <= room {
            size += waiting[end].body.count
            end += 1
        }
        let taken = waiting[..<end].map(\.body)
        waiting.removeFirst(end)
        bytes -= size
        return taken
    }

    /// What waited too long for a peer that cannot be reached is stale.
    mutating func clear() {
        dropped += waiting.count
        waiting = []
        bytes = 0
    }
}

extension ClusterMessage {
    /// Whether the next one of its kind says all that it says.
    var isProbe: Bool {
        switch self {
        case .ping, .pingRequest, .ack, .nack, .sync, .report: true
        default: false
        }
    }
}
