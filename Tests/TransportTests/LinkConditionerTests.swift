import NIOCore
import NIOEmbedded
import NIOPosix
import Testing
import Wire

@testable import Transport

/// On a clock that moves only when it is told to.
@Suite(.timeLimit(.minutes(1))) struct `Link conditions` {
    private static func channel(_ conditions: LinkConditions) -> EmbeddedChannel {
        EmbeddedChannel(handler: LinkConditioner(conditions))
    }

    private static func write(_ number: UInt32, padding: Int = 0, to channel: EmbeddedChannel) {
        var buffer = ByteBuffer(integer: number)
        buffer.writeRepeatingByte(0, count: padding)
        channel.writeAndFlush(buffer, promise: nil)
    }

    private static func arrived(_ channel: EmbeddedChannel) throws -> [UInt32] {
        var numbers: [UInt32] = []
        while var buffer = try channel.readOutbound(as: ByteBuffer.self) {
            let number = buffer.readInteger(as: UInt32.self)
            numbers.append(try #require(number))
        }
        return numbers
    }

    @Test func `a frame is late by exactly the delay`() throws {
        var conditions = LinkConditions()
        conditions.delayMicroseconds = 5000
        let channel = Self.channel(conditions)
        Self.write(1, to: channel)
        channel.embeddedEventLoop.advanceTime(by: .microseconds(2000))
        Self.write(2, to: channel)
        channel.embeddedEventLoop.advanceTime(by: .microseconds(2999))
        #expect(try Self.arrived(channel) == [])
        channel.embeddedEventLoop.advanceTime(by: .microseconds(1))
        #expect(try Self.arrived(channel) == [1])
        channel.embeddedEventLoop.advanceTime(by: .microseconds(1999))
        #expect(try Self.arrived(channel) == [])
        channel.embeddedEventLoop.advanceTime(by: .microseconds(1))
        #expect(try Self.arrived(channel) == [2])
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `jitter spreads frames and lets none overtake another`(seed: UInt64) throws {
        var conditions = LinkConditions()
        conditions.delayMicroseconds = 1000
        conditions.jitterMicroseconds = 4000
        conditions.seed = seed
        let channel = Self.channel(conditions)
        var arrivals: [(number: UInt32, microsecond: Int)] = []
        for now in 0..<25_000 {
            if now % 100 == 0, now < 20_000 { Self.write(UInt32(now / 100), to: channel) }
            channel.embeddedEventLoop.advanceTime(by: .microseconds(1))
            arrivals += try Self.arrived(channel).map { ($0, now + 1) }
        }
        #expect(arrivals.map(\.number) == Array(0..<200))
        let waits = arrivals.map { $0.microsecond - Int($0.number) * 100 }
        #expect(waits.allSatisfy { (1000...5000).contains($0) })
        #expect(Set(waits).count > 20)
    }

    @Test func `the rate bounds how fast frames leave`() throws {
        var conditions = LinkConditions()
        conditions.bytesPerSecond = 1_000_000
        let channel = Self.channel(conditions)
        // Each is 1000 bytes, so each takes a millisecond of the line.
        for number in 0..<10 { Self.write(UInt32(number), padding: 996, to: channel) }
        for number in 0..<10 {
            channel.embeddedEventLoop.advanceTime(by: .microseconds(999))
            #expect(try Self.arrived(channel) == [])
            channel.embeddedEventLoop.advanceTime(by: .microseconds(1))
            #expect(try Self.arrived(channel) == [UInt32(number)])
        }
    }

    @Test func `a stall holds everything behind it back`() throws {
        var conditions = LinkConditions()
        conditions.stallInterval = 1
        conditions.stallMicroseconds = 700
        let channel = Self.channel(conditions)
        for number in 0..<3 { Self.write(UInt32(number), to: channel) }
        for number in 0..<3 {
            channel.embeddedEventLoop.advanceTime(by: .microseconds(699))
            #expect(try Self.arrived(channel) == [])
            channel.embeddedEventLoop.advanceTime(by: .microseconds(1))
            #expect(try Self.arrived(channel) == [UInt32(number)])
        }
    }

    @Test func `a conditioned link is not faster than it was told to be`() async throws {
        var conditioned = LinkEndpoint.Options()
        conditioned.conditions.delayMicroseconds = 20_000
        conditioned.conditions.jitterMicroseconds = 10_000
        try await Listener.withSocketPath { path in
            try await LinkPair.with(.unix(path: path), dialing: conditioned) { pair in
                let sent = NIODeadline.now()
                for token in 0..<20 {
                    var writer = FrameWriter(version: Handshake.versions.upperBound)
                    try writer.cancel(from: UInt32(token), count: 1)
                    pair.dialing.send(&writer)
                }
                for token in 0..<20 {
                    guard case .frame(.cancel, UInt32(token), _) = try await pair.acceptor.next() else {
                        Issue.record("frame \(token) is not in its place")
                        return
                    }
                }
                #expect(NIODeadline.now() - sent >= .milliseconds(20))
            }
        }
    }
}
