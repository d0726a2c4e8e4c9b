import Testing
import Vocabulary
import Wire

@Suite struct `The frame decoder` {
    /// All golden frames but the handshake's, one after the other.
    static let stream = GoldenFrames.all.filter { !$0.kind.isHandshake }.flatMap(\.bytes)
    static let kinds = FrameKind.allCases.filter { !$0.isHandshake }

    @Test func `one push of many frames gives them all`() throws {
        let frames = try FrameBytes.frames(Self.stream)
        #expect(frames.map(\.header.kind) == Self.kinds)
        #expect(frames.flatMap(\.body).count + 16 * frames.count == Self.stream.count)
    }

    @Test func `every split of the stream in two gives the same frames`() throws {
        let expected = try FrameBytes.frames(Self.stream).map(\.body)
        for split in 0...Self.stream.count {
            let bodies = try bodies([0, split, Self.stream.count])
            #expect(bodies == expected, "split at \(split)")
        }
    }

    @Test func `every split of a short stream in three gives the same frames`() throws {
        let bytes = GoldenFrames.all.filter { [.step, .drain, .ping].contains($0.kind) }.flatMap(\.bytes)
        let expected = try FrameBytes.frames(bytes).map(\.body)
        for first in 0...bytes.count {
            for second in first...bytes.count {
                #expect(try bodies([0, first, second, bytes.count], of: bytes) == expected)
            }
        }
    }

    @Test func `one byte at a time gives the same frames`() throws {
        let expected = try FrameBytes.frames(Self.stream).map(\.body)
        #expect(try bodies(Array(0...Self.stream.count)) == expected)
    }

    @Test func `frames of a kind come out as soon as their last byte is there`() throws {
        var decoder = FrameDecoder(rules: .established(version: 1))
        var count = 0
        let golden = try #require(GoldenFrames.all.first { $0.kind == .ping }).bytes
        for byte in golden.dropLast() {
            try decoder.push([byte].span.bytes) { _, _, _ throws(WireError) in count += 1 }
        }
        #expect(count == 0 && decoder.keptByteCount == golden.count - 1)
        try decoder.push([golden[golden.count - 1]].span.bytes) { _, _, _ throws(WireError) in count += 1 }
        #expect(count == 1 && decoder.keptByteCount == 0)
    }

    @Test func `a bad header is refused with its sixteenth byte`() throws {
        let golden = try #require(GoldenFrames.all.first { $0.kind == .step }).bytes
        func headerError(_ change: (inout [UInt8]) -> Void) -> WireError? {
            var header = Array(golden.prefix(16))
            change(&header)
            var decoder = FrameDecoder(rules: .established(version: 1, frameByteLimit: 1 << 20))
            for (index, byte) in header.enumerated() {
                do throws(WireError) {
                    try decoder.push([byte].span.bytes) { _, _, _ throws(WireError) in }
                } catch {
                    #expect(index == 15)
                    return error
                }
            }
            return nil
        }
        #expect(headerError { _ in } == nil)
        #expect(
            headerError { $0[3] = 0xFF }
                == .limitExceeded(field: "frame.length", value: 0xFF00_003C, limit: (1 << 20) - 16))
        #expect(headerError { $0[4] = 0x77 } == .unknownKind(0x77))
        #expect(headerError { $0[4] = 0x03 } == .unexpectedKind(.refuse, expected: "a frame after the handshake"))
        #expect(
            headerError { $0[5] = 2 } == .invalidValue(field: "frame.flags", offset: 5, value: 2, allowed: "0"))
        #expect(headerError { $0[6] = 2 } == .versionMismatch(found: 2, agreed: 1))
        #expect(
            headerError {
                $0[4] = FrameKind.ping.rawValue
                $0[1] = 0x10
            } == .limitExceeded(field: "frame.length", value: 0x103C, limit: 1024))
    }

    @Test func `a changed byte anywhere is refused and the link stays broken`() throws {
        let golden = try #require(GoldenFrames.all.first { $0.kind == .step }).bytes
        for index in golden.indices {
            var bytes = golden
            bytes[index] ^= 0x10
            var decoder = FrameDecoder(rules: .established(version: 1))
            var first: WireError?
            do throws(WireError) {
                try decoder.push(bytes.span.bytes) { _, _, _ throws(WireError) in }
                // A longer length only waits for more bytes.
                #expect(index < 4)
                try decoder.push([UInt8](repeating: 0, count: 1 << 21).span.bytes) { _, _, _ throws(WireError) in }
                try decoder.push([UInt8](repeating: 0, count: 1 << 25).span.bytes) { _, _, _ throws(WireError) in }
                Issue.record("byte \(index)")
            } catch { first = error }
            let error = try #require(first)
            #expect(throws: error) {
                try decoder.push(golden.span.bytes) { _, _, _ throws(WireError) in }
            }
            #expect(decoder.capacity == 0)
        }
    }

    @Test func `a changed byte of a frame that came in pieces is refused with its last byte`() throws {
        let golden = try #require(GoldenFrames.all.first { $0.kind == .step }).bytes
        for index in 16..<golden.count {
            var bytes = golden
            bytes[index] ^= 1
            for split in [1, 16, 17, golden.count - 1] {
                var decoder = FrameDecoder(rules: .established(version: 1))
                var count = 0
                try decoder.push(bytes.span.bytes.extracting(0..<split)) { _, _, _ throws(WireError) in count += 1 }
                #expect(throws: WireError.self) {
                    try decoder.push(bytes.span.bytes.extracting(split..<bytes.count)) { _, _, _ throws(WireError) in
                        count += 1
                    }
                }
                #expect(count == 0)
            }
        }
    }

    @Test func `before the handshake nothing else is taken and no memory beyond its limit`() throws {
        let ping = try #require(GoldenFrames.all.first { $0.kind == .ping }).bytes
        #expect(throws: WireError.unexpectedKind(.ping, expected: "hello, welcome or refuse")) {
            try FrameBytes.frames(ping, rules: .handshake)
        }
        var huge = try #require(GoldenFrames.all.first { $0.kind == .hello }).bytes
        FrameBytes.replace(&huge, at: 0, UInt32(4081))
        let frame = huge
        #expect(throws: WireError.limitExceeded(field: "frame.length", value: 4081, limit: 4080)) {
            try FrameBytes.frames(frame, rules: .handshake)
        }
    }

    @Test func `an announced frame takes memory only as its bytes come`() throws {
        let floats = [Float](repeating: 1, count: 1 << 20)
        let row = StageRow(lane: Lane(0), position: 0, token: 0, samples: false)
        let rows = [StageRow](repeating: row, count: 1024)
        let bytes = try FrameBytes.write { writer throws(WireError) in
            try writer.step(1, rows: rows, activations: floats.span, width: 1024, format: .f32)
        }
        var decoder = FrameDecoder(rules: .established(version: 1))
        var count = 0
        var sent = 0
        while sent < bytes.count {
            let end = min(sent + 9973, bytes.count)
            try decoder.push(bytes.span.bytes.extracting(sent..<end)) { _, _, _ throws(WireError) in count += 1 }
            sent = end
            #expect(decoder.capacity <= max(4096, 2 * sent + 9973))
        }
        #expect(count == 1)
        let capacity = decoder.capacity
        for _ in 0..<3 {
            for range in [0..<1000, 1000..<bytes.count] {
                try decoder.push(bytes.span.bytes.extracting(range)) { _, _, _ throws(WireError) in count += 1 }
            }
            #expect(decoder.capacity == capacity)
        }
        #expect(count == 4)
    }

    @Test func `what a receiver throws ends the link`() throws {
        var decoder = FrameDecoder(rules: .established(version: 1))
        #expect(throws: WireError.unknownKind(9)) {
            try decoder.push(Self.stream.span.bytes) { _, _, _ throws(WireError) in throw .unknownKind(9) }
        }
        #expect(throws: WireError.unknownKind(9)) {
            try decoder.push(Self.stream.span.bytes) { _, _, _ throws(WireError) in }
        }
    }

    private func bodies(_ cuts: [Int], of bytes: [UInt8] = stream) throws(WireError) -> [[UInt8]] {
        var bodies: [[UInt8]] = []
        var decoder = FrameDecoder(rules: .established(version: 1))
        for (start, end) in zip(cuts, cuts.dropFirst()) {
            try decoder.push(bytes.span.bytes.extracting(start..<end)) { _, body, _ throws(WireError) in
                bodies.append(body.withUnsafeBytes { [UInt8]($0) })
            }
        }
        return bodies
    }
}
