import CChecksum
import Testing
import Vocabulary

@Suite struct `CRC-32C` {
    @Test func `the check value of the catalogue comes out`() {
        // The value for the ASCII digits 1 to 9 in every description of CRC-32C (RFC 3720, appendix B.4 uses the same
        // function).
        let digits = [UInt8]("123456789".utf8)
        #expect(skein_crc32c(0, digits, digits.count) == 0xE306_9283)
        #expect(skein_crc32c_portable(0, digits, digits.count) == 0xE306_9283)
    }

    @Test func `the vectors of RFC 3720 come out`() {
        let zeros = [UInt8](repeating: 0, count: 32)
        let ones = [UInt8](repeating: 0xFF, count: 32)
        let rising = (0..<32).map { UInt8($0) }
        #expect(skein_crc32c(0, zeros, 32) == 0x8A91_36AA)
        #expect(skein_crc32c(0, ones, 32) == 0x62A8_AB43)
        #expect(skein_crc32c(0, rising, 32) == 0x46DD_794E)
    }

    @Test func `the processor's instruction, the tables and the definition agree at every length and alignment`() {
        var random = SeededRandom(seed: 5)
        // Long enough for the blocks of three long streams, three short ones and every rest.
        let bytes = (0..<80_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        var lengths = Array(0...64) + [511, 512, 513, 1535, 1536, 1537, 4100, 24_575, 24_576, 24_577, 70_000]
        lengths += (0..<40).map { _ in random.below(60_000) }
        bytes.withUnsafeBytes { raw in
            for length in lengths {
                let start = random.below(17)
                let seed = UInt32(truncatingIfNeeded: random.next())
                let address = raw.baseAddress.map { $0 + start }
                let expected = length <= 5000 ? definition(seed, raw[start..<start + length]) : nil
                let fast = skein_crc32c(seed, address, length)
                #expect(fast == skein_crc32c_portable(seed, address, length), "\(length) bytes from \(start)")
                if let expected { #expect(fast == expected, "\(length) bytes from \(start)") }
            }
        }
    }

    @Test func `a checksum can be continued`() {
        let bytes = (0..<5000).map { UInt8(truncatingIfNeeded: $0 * 7) }
        let whole = skein_crc32c(0, bytes, bytes.count)
        let head = skein_crc32c(0, bytes, 1234)
        let tail = Array(bytes.dropFirst(1234))
        #expect(skein_crc32c(head, tail, tail.count) == whole)
    }

    /// Bit by bit, as the polynomial is defined.
    private func definition(_ seed: UInt32, _ bytes: Slice<UnsafeRawBufferPointer>) -> UInt32 {
        var remainder = ~seed
        for byte in bytes {
            remainder ^= UInt32(byte)
            for _ in 0..<8 {
                remainder = (remainder >> 1) ^ (remainder & 1 == 1 ? 0x82F6_3B78 : 0)
            }
        }
        return ~remainder
    }
}
