import NIOCore
import NIOEmbedded
import Testing
import Vocabulary
import Wire

@testable import Transport

@Suite struct `Frames of a byte stream` {
    /// A link's decoder without a link.
    private struct Cutter {
        private let channel = EmbeddedChannel()

        init(_ rules: FrameRules = .established(version: 1)) throws {
            let box = NIOLoopBoundBox(rules, eventLoop: channel.eventLoop)
            try channel.pipeline.syncOperations.addHandler(ByteToMessageHandler(FrameDecoder(rules: box)))
        }

        /// The frames these bytes complete.
        func push(_ bytes: some Collection<UInt8>) throws -> [InboundFrame] {
            guard !bytes.isEmpty else { return [] }
            var buffer = ByteBufferAllocator().buffer(capacity: bytes.count)
            buffer.writeBytes(bytes)
            try channel.writeInbound(buffer)
            var frames: [InboundFrame] = []
            while let frame = try channel.readInbound(as: InboundFrame.self) { frames.append(frame) }
            return frames
        }

        /// What the bytes have wrong; nil when they are taken.
        func error(of bytes: some Collection<UInt8>) -> (any Error)? {
            do {
                _ = try push(bytes)
                return nil
            } catch {
                return error
            }
        }
    }

    private static func written(_ fill: (inout FrameWriter) throws(WireError) -> Void) throws -> [UInt8] {
        var writer = FrameWriter(version: 1)
        try fill(&writer)
        return Array(writer.takeBuffer().readableBytesView)
    }

    private static func step() throws -> [UInt8] {
        let rows = (0..<2 as Range<Int32>).map { StageRow(lane: Lane(3), position: $0, token: 5, samples: $0 == 1) }
        let floats: [Float] = [0.5, -1, 2, 0.25]
        return try written { writer throws(WireError) in
            try writer.step(9, rows: rows, activations: floats.span, width: 2, format: .f32)
        }
    }

    /// Frames of several kinds, one after the other.
    private static func stream() throws -> [UInt8] {
        let first = try written { writer throws(WireError) in
            try writer.ping(7)
            try writer.operations([.free(lane: Lane(2)), .trim(lane: Lane(1), from: 3)], before: 9)
        }
        let last = try written { writer throws(WireError) in
            try writer.result(of: 9, [])
            try writer.drain()
        }
        return try first + step() + last
    }

    private static let kinds: [FrameKind] = [.ping, .operations, .step, .result, .drain]

    /// The frames of `bytes`, which arrive cut into pieces.
    private static func frames(_ bytes: [UInt8], cutAt cuts: [Int] = []) throws -> [InboundFrame] {
        let cutter = try Cutter()
        let bounds = [0] + cuts + [bytes.count]
        return try zip(bounds, bounds.dropFirst()).flatMap { try cutter.push(bytes[$0..<$1]) }
    }

    @Test func `every split of a stream in two gives the same frames`() throws {
        let stream = try Self.stream()
        let whole = try Self.frames(stream)
        #expect(whole.map(\.header.kind) == Self.kinds)
        #expect(whole.reduce(0) { $0 + FrameHeader.byteCount + $1.body.readableBytes } == stream.count)
        for split in 0...stream.count {
            #expect(try Self.frames(stream, cutAt: [split]).map(\.body) == whole.map(\.body), "split at \(split)")
        }
    }

    @Test func `every split of a short stream in three gives the same frames`() throws {
        let bytes = try Self.written { writer throws(WireError) in
            try writer.drain()
            try writer.ping(1)
        }
        let whole = try Self.frames(bytes).map(\.body)
        #expect(whole.count == 2)
        for first in 0...bytes.count {
            for second in first...bytes.count {
                #expect(try Self.frames(bytes, cutAt: [first, second]).map(\.body) == whole)
            }
        }
    }

    @Test func `a frame comes out with its last byte and not before`() throws {
        let stream = try Self.stream()
        let cutter = try Cutter()
        var kinds: [FrameKind] = []
        var end = 0
        for (index, byte) in stream.enumerated() {
            for frame in try cutter.push([byte]) {
                kinds.append(frame.header.kind)
                end += frame.header.frameByteCount
                #expect(end == index + 1)
            }
        }
        #expect(kinds == Self.kinds)
    }

    @Test func `a bad header is refused with its sixteenth byte`() throws {
        let step = try Self.step()
        func headerError(_ change: (inout [UInt8]) -> Void) throws -> WireError? {
            var header = Array(step.prefix(FrameHeader.byteCount))
            change(&header)
            let cutter = try Cutter(.established(version: 1, frameByteLimit: 1 << 20))
            for (index, byte) in header.enumerated() {
                guard let error = cutter.error(of: [byte]) else { continue }
                #expect(index == 15)
                return error as? WireError
            }
            return nil
        }
        #expect(try headerError { _ in } == nil)
        #expect(try headerError { $0[4] = 0x77 } == .unknownKind(0x77))
        #expect(try headerError { $0[4] = 0x03 } == .unexpectedKind(.refuse, expected: "a frame after the handshake"))
        #expect(
            try headerError { $0[5] = 2 } == .invalidValue(field: "frame.flags", offset: 5, value: 2, allowed: "0"))
        #expect(try headerError { $0[6] = 2 } == .versionMismatch(found: 2, agreed: 1))
        // Lengths beyond the link's budget, and beyond what a kind may have: no memory is taken for what is announced.
        let body = step.count - FrameHeader.byteCount
        #expect(
            try headerError { $0[3] = 0x7F }
                == .limitExceeded(field: "frame.length", value: 0x7F00_0000 + body, limit: (1 << 20) - 16))
        #expect(
            try headerError {
                $0[4] = FrameKind.ping.rawValue
                $0[1] = 0x10
            } == .limitExceeded(field: "frame.length", value: 0x1000 + body, limit: 1024))
    }

    @Test func `a changed byte anywhere is refused, and the link stays broken`() throws {
        let step = try Self.step()
        for index in step.indices {
            var bytes = step
            bytes[index] ^= 0x10
            for split in [0, 1, FrameHeader.byteCount + 1, step.count - 1] {
                let cutter = try Cutter()
                let first = cutter.error(of: bytes[..<split])
                let error = first ?? cutter.error(of: bytes[split...])
                // A longer length only waits for more bytes.
                guard index >= 4 || error != nil else { continue }
                #expect(error is WireError, "byte \(index), split at \(split)")
                #expect(cutter.error(of: step) != nil)
            }
        }
    }

    @Test func `before the handshake nothing else is taken`() throws {
        let cutter = try Cutter(.handshake)
        let ping = try Self.written { writer throws(WireError) in try writer.ping(4) }
        #expect(
            cutter.error(of: ping) as? WireError
                == .unexpectedKind(.ping, expected: "hello, welcome or refuse"))
        var hello = try Self.written { writer throws(WireError) in try writer.hello(Places.hello) }
        (hello[0], hello[1], hello[2], hello[3]) = (0xF1, 0x0F, 0, 0)
        let error = try Cutter(.handshake).error(of: hello.prefix(FrameHeader.byteCount))
        #expect(error as? WireError == .limitExceeded(field: "frame.length", value: 4081, limit: 4080))
    }
}
