import NIOCore
import Vocabulary

/// Conditions put on a link to stand in for a worse network, in tests and benches.
package struct LinkConditions: Hashable, Sendable, Codable {
    /// Added to every frame's way. **Units:** microseconds.
    package var delayMicroseconds: Int = 0
    /// Upper bound of an extra random delay; frames never overtake each other. **Units:** microseconds.
    package var jitterMicroseconds: Int = 0
    /// Upper bound of the rate; 0 is unlimited. **Units:** bytes per second.
    package var bytesPerSecond: Int = 0
    /// One in this many frames stalls; 0 is never.
    package var stallInterval: Int = 0
    /// How long a stall lasts. **Units:** microseconds.
    package var stallMicroseconds: Int = 0
    /// Seed of the jitter.
    package var seed: UInt64 = 1

    /// No conditions.
    package init() {}

    /// Whether nothing is conditioned.
    package var isClear: Bool { self == LinkConditions() }
}

/// Holds outgoing frames back as `LinkConditions` say.
final class LinkConditioner: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let conditions: LinkConditions
    private var random: SeededRandom
    private var lineFree: NIODeadline = .uptimeNanoseconds(0)
    private var lastArrival: NIODeadline = .uptimeNanoseconds(0)

    init(_ conditions: LinkConditions) {
        self.conditions = conditions
        random = SeededRandom(seed: conditions.seed)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let buffer = unwrapOutboundIn(data)
        let arrival = arrival(of: buffer.readableBytes, now: context.eventLoop.now)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(deadline: arrival) {
            bound.value.writeAndFlush(NIOAny(buffer), promise: promise)
        }
    }

    func flush(context: ChannelHandlerContext) {
        // Every held frame flushes itself when its time has come.
    }

    private func arrival(of byteCount: Int, now: NIODeadline) -> NIODeadline {
        var leaves = max(now, lineFree)
        if conditions.bytesPerSecond > 0 {
            leaves = leaves + .nanoseconds(Int64(byteCount) * 1_000_000_000 / Int64(conditions.bytesPerSecond))
        }
        if conditions.stallInterval > 0, random.below(conditions.stallInterval) == 0 {
            leaves = leaves + .microseconds(Int64(conditions.stallMicroseconds))
        }
        lineFree = leaves
        var arrives = leaves + .microseconds(Int64(conditions.delayMicroseconds))
        if conditions.jitterMicroseconds > 0 {
            arrives = arrives + .microseconds(Int64(random.below(conditions.jitterMicroseconds + 1)))
        }
        lastArrival = max(lastArrival, arrives)
        return lastArrival
    }
}
