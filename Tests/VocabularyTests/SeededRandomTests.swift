import Testing
import Vocabulary

@Suite struct `Seeded randomness` {
    @Test func `the sequence of seed 1 is the published SplitMix64 sequence`() {
        // First outputs of SplitMix64 for seed 1234567, from the reference implementation's published test vector.
        var random = SeededRandom(seed: 1_234_567)
        #expect(random.next() == 6_457_827_717_110_365_317)
        #expect(random.next() == 3_203_168_211_198_807_973)
    }

    @Test func `a position's draw depends on seed and position only`() {
        let forward = (0..<64).map { SeededRandom.uniform(seed: 7, position: $0) }
        let backward = (0..<64).reversed().map { SeededRandom.uniform(seed: 7, position: $0) }
        #expect(forward == backward.reversed())
        #expect(Set(forward).count == 64)
        #expect(forward.allSatisfy { (0..<1).contains($0) })
        #expect(forward != (0..<64).map { SeededRandom.uniform(seed: 8, position: $0) })
    }

    @Test func `draws of neighbouring seeds and positions are uniform`() {
        var counts = [Int](repeating: 0, count: 10)
        for seed in 0..<100 as Range<UInt64> {
            for position in 0..<100 as Range<UInt64> {
                counts[Int(SeededRandom.uniform(seed: seed, position: position) * 10)] += 1
            }
        }
        // 10,000 draws over 10 bins: 5 standard deviations are 150.
        #expect(counts.allSatisfy { abs($0 - 1000) < 150 })
    }
}
