import CChecksum
import Vocabulary
import Wire

/// Bytes of frames, for tests: write, read, print, break and seal them again.
enum FrameBytes {
    static func write(
        version: UInt16 = 1, _ fill: (inout FrameWriter) throws(WireError) -> Void
    ) throws(WireError) -> [UInt8] {
        var writer = FrameWriter(version: version)
        try fill(&writer)
        return written(writer)
    }

    static func written(_ writer: FrameWriter) -> [UInt8] {
        writer.withBytes { bytes in bytes.withUnsafeBytes { [UInt8]($0) } }
    }

    /// All whole frames of `bytes`, checked, each with its body.
    static func frames(
        _ bytes: [UInt8], rules: FrameRules = .established(version: 1)
    ) throws(WireError) -> [(header: FrameHeader, body: [UInt8])] {
        var frames: [(header: FrameHeader, body: [UInt8])] = []
        var start = 0
        while let header = try FrameHeader.parse(bytes.span.bytes.extracting(start..<bytes.count), rules: rules),
            header.frameByteCount <= bytes.count - start
        {
            let end = start + header.frameByteCount
            try header.verify(frame: bytes.span.bytes.extracting(start..<end))
            frames.append((header, Array(bytes[start + FrameHeader.byteCount..<end])))
            start = end
        }
        return frames
    }

    /// The first frame of `bytes`, decoded.
    static func stageFrame(_ bytes: [UInt8], width: Int = 4) throws(WireError) -> StageFrame {
        let frame = try frames(bytes)[0]
        return try StageFrame.parse(frame.header, body: frame.body.span.bytes, width: width)
    }

    static func runnerFrame(_ bytes: [UInt8]) throws(WireError) -> RunnerFrame {
        let frame = try frames(bytes)[0]
        return try RunnerFrame.parse(frame.header, body: frame.body.span.bytes)
    }

    static func handshake(_ bytes: [UInt8], newest: UInt16 = 1) throws(WireError) -> Handshake.Message {
        let frame = try frames(bytes, rules: .handshake)[0]
        return try Handshake.parse(frame.header, body: frame.body.span.bytes, newest: newest)
    }

    /// Puts the length and checksum into the single frame `bytes` that its bytes really have.
    static func seal(_ bytes: inout [UInt8]) {
        guard bytes.count >= 16 else { return }
        replace(&bytes, at: 0, UInt32(bytes.count - 16))
        replace(&bytes, at: 12, UInt32(0))
        replace(&bytes, at: 12, bytes.withUnsafeBytes { skein_crc32c(0, $0.baseAddress, $0.count) })
    }

    static func replace<Value: FixedWidthInteger>(_ bytes: inout [UInt8], at offset: Int, _ value: Value) {
        for index in 0..<MemoryLayout<Value>.size {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index))
        }
    }

    static func hex(_ bytes: some Collection<UInt8>) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }

    static func bytes(hex: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var high: UInt8?
        for character in hex where !character.isWhitespace {
            guard let digit = character.hexDigitValue else { return [] }
            if let upper = high {
                bytes.append(upper << 4 | UInt8(digit))
                high = nil
            } else {
                high = UInt8(digit)
            }
        }
        return bytes
    }
}
