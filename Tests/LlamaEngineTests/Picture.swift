/// A small picture as a PNG file, written without compression.
struct Picture: Sendable {
    var width = 40
    var height = 24
    /// Red, green and blue at a place.
    var color: @Sendable (Int, Int) -> (UInt8, UInt8, UInt8)

    static let red = Picture { _, _ in (220, 20, 30) }
    static let blue = Picture { _, _ in (10, 30, 200) }
    static let stripes = Picture { x, y in (x + y) % 8 < 4 ? (255, 255, 255) : (0, 0, 0) }

    var png: [UInt8] {
        var raw: [UInt8] = []
        for y in 0..<height {
            raw.append(0)
            for x in 0..<width {
                let (red, green, blue) = color(x, y)
                raw += [red, green, blue]
            }
        }
        return Self.signature + Self.chunk("IHDR", Self.header(width, height)) + Self.chunk("IDAT", Self.stored(raw))
            + Self.chunk("IEND", [])
    }

    static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

    /// Eight bits per channel, red, green and blue.
    static func header(_ width: Int, _ height: Int) -> [UInt8] { big(width) + big(height) + [8, 2, 0, 0, 0] }

    static func chunk(_ name: String, _ data: [UInt8]) -> [UInt8] {
        let body = Array(name.utf8) + data
        return big(data.count) + body + big(Int(checksum(body)))
    }

    /// zlib's format around blocks that are not compressed.
    static func stored(_ bytes: [UInt8]) -> [UInt8] {
        var stream: [UInt8] = [0x78, 0x01]
        var start = 0
        repeat {
            let end = min(bytes.count, start + 65_535)
            let count = UInt16(end - start)
            stream.append(end == bytes.count ? 1 : 0)
            for word in [count, ~count] { stream += [UInt8(word & 255), UInt8(word >> 8)] }
            stream += bytes[start..<end]
            start = end
        } while start < bytes.count
        var (low, high) = (UInt32(1), UInt32(0))
        for byte in bytes {
            low = (low + UInt32(byte)) % 65_521
            high = (high + low) % 65_521
        }
        return stream + big(Int(high << 16 | low))
    }

    /// zlib's format around so many bytes of 0 or a few more, compressed a thousand times.
    static func zeros(_ count: Int) -> [UInt8] {
        var stream: [UInt8] = [0x78, 0x01]
        var (bits, filled) = (UInt32(0), UInt32(0))
        func put(_ value: UInt32, _ count: UInt32) {
            bits |= value << filled
            filled += count
            while filled >= 8 {
                stream.append(UInt8(truncatingIfNeeded: bits))
                bits >>= 8
                filled -= 8
            }
        }
        // The last block, with the fixed codes: the byte 0, then 258 bytes like the one before, again and again. Codes
        // stand with their first bit first.
        put(0b011, 3)
        put(0b0000_1100, 8)
        for _ in 0..<count / 258 + 1 {
            put(0b1010_0011, 8)
            put(0, 5)
        }
        put(0, 7)
        put(0, 7)
        return stream + [0, 0, 0, 0]
    }

    private static func big(_ number: Int) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
    }

    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        var sum = UInt32.max
        for byte in bytes {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
        }
        return ~sum
    }
}
