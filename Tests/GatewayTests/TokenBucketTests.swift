import Testing

@testable import Gateway

@Suite struct `Token bucket` {
    private static let second: Int64 = 1_000_000_000

    @Test func `a minute's worth may come at once, then one by one as time passes`() {
        var bucket = TokenBucket(perMinute: 6, now: 0)
        for _ in 0..<6 {
            #expect(bucket.wait(for: 1, now: 0) == 0)
            bucket.take(1, now: 0)
        }
        #expect(bucket.wait(for: 1, now: 0) == 10)
        #expect(bucket.wait(for: 1, now: 9 * Self.second) == 1)
        #expect(bucket.wait(for: 1, now: 10 * Self.second) == 0)
    }

    @Test(arguments: [(1, 60), (60, 1), (120, 1), (7, 9)])
    func `who waits as long as told is let in, and a second less is too early`(perMinute: Int, wait: Int) {
        var bucket = TokenBucket(perMinute: perMinute, now: 0)
        bucket.take(perMinute, now: 0)
        #expect(bucket.wait(for: 1, now: 0) == wait)
        var later = bucket
        #expect(later.wait(for: 1, now: Int64(wait) * Self.second) == 0)
        if wait > 1 { #expect(bucket.wait(for: 1, now: Int64(wait - 1) * Self.second) > 0) }
    }

    @Test func `a debt is paid off before anything more is let in`() {
        var bucket = TokenBucket(perMinute: 600, now: 0)
        bucket.take(1800, now: 0)
        #expect(bucket.wait(for: 1, now: 0) == 121)
        #expect(bucket.wait(for: 1, now: 120 * Self.second) == 1)
        #expect(bucket.wait(for: 1, now: 121 * Self.second) == 0)
    }

    @Test func `time fills it to the brim and no further, and a clock that goes back fills nothing`() {
        var bucket = TokenBucket(perMinute: 2, now: 100 * Self.second)
        bucket.take(2, now: 100 * Self.second)
        #expect(bucket.wait(for: 1, now: 0) == 30)
        bucket.take(1, now: 10_000 * Self.second)
        bucket.take(1, now: 10_000 * Self.second)
        #expect(bucket.wait(for: 1, now: 10_000 * Self.second) == 30)
        // What is more than a full bucket waits for a full one.
        #expect(bucket.wait(for: 99, now: 10_000 * Self.second) == 60)
    }

    /// Whatever comes when: over any time, no more is admitted than a minute's worth and what the time allows.
    @Test func `never is more admitted than allowed`() {
        for seed in 0..<20 as Range<UInt64> {
            var random = CountingGenerator(state: seed)
            var bucket = TokenBucket(perMinute: 30, now: 0)
            var now: Int64 = 0
            var admitted = 0
            for _ in 0..<2000 {
                now += Int64.random(in: 0...2_000_000_000, using: &random)
                if bucket.wait(for: 1, now: now) == 0 {
                    bucket.take(1, now: now)
                    admitted += 1
                }
                #expect(Double(admitted) <= 30 + Double(now) / 2e9 + 1e-3, "SEED=\(seed)")
            }
        }
    }
}
