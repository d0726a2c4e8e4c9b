import Serving
import Testing
import Vocabulary

@Suite struct `Decoding text` {
    @Test func `any bytes in any pieces give the text of the whole`() {
        for seed in Seeds.first(400) {
            var random = SeededRandom(seed: seed)
            // Bytes that make near misses likely: leads, continuations, the edges of table 3-7, ASCII.
            let alphabet: [UInt8] = [
                0x41, 0x80, 0xBF, 0xC1, 0xC2, 0xDF, 0xE0, 0xA0, 0x9F, 0xE2, 0xED, 0xEF, 0xF0, 0x90, 0x8F, 0xF4, 0xF5,
                0xFF,
            ]
            let bytes = (0..<(1 + random.below(24))).map { _ in alphabet[random.below(alphabet.count)] }
            var decoder = ScalarDecoder()
            var text = ""
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = 1 + random.below(min(4, rest.count))
                let piece = decoder.push(Array(rest.prefix(count)))
                text.unicodeScalars.append(contentsOf: piece.unicodeScalars)
                rest = rest.dropFirst(count)
            }
            text.unicodeScalars.append(contentsOf: decoder.finish().unicodeScalars)
            #expect(Array(text.utf8) == Array(String(decoding: bytes, as: UTF8.self).utf8), "SEED=\(seed)")
        }
    }

    @Test func `a scalar appears only when its last byte is there`() {
        var decoder = ScalarDecoder()
        #expect(decoder.push([0x61, 0xF0]) == "a")
        #expect(decoder.keepsBytes)
        #expect(decoder.push([0x9F]) == "")
        #expect(decoder.push([0xAA]) == "")
        #expect(decoder.push([0xBF, 0x62]) == "🪿b")
        #expect(!decoder.keepsBytes)
    }

    @Test func `an unfinished scalar at the end becomes one replacement character`() {
        var decoder = ScalarDecoder()
        #expect(decoder.push([0xE2, 0x82]) == "")
        #expect(decoder.finish() == "\u{FFFD}")
        #expect(decoder.finish() == "")
    }
}
