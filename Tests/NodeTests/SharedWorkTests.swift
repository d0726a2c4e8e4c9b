import Testing

@testable import Node

@Suite(.timeLimit(.minutes(1))) struct `Work that several requests wait for` {
    @Test func `is done once, whoever stops waiting, and not at all when it is over`() async throws {
        let work = SharedWork<String, Int>()
        let begun = Collected<Int>()
        let (gate, open) = AsyncStream.makeStream(of: Int.self)
        @Sendable func outcome(_ number: Int, until end: ContinuousClock.Instant? = nil) async -> Int? {
            await work.outcome(for: "a", until: end) {
                await begun.add(number)
                for await value in gate { return value }
                return 0
            }
        }
        let running = Task { await work.run() }
        // Its time is up at once; the work goes on for those who come behind it.
        #expect(await outcome(1, until: .now) == nil)
        async let second = outcome(2)
        async let third = outcome(3)
        try await until { await work.waiters["a"]?.count == 2 }
        open.yield(7)
        let outcomes = await [second, third]
        #expect(outcomes == [7, 7])
        #expect(await begun.values == [1])
        #expect(await work.waiters.isEmpty)
        running.cancel()
        await running.value
        #expect(await outcome(4) == nil)
        #expect(await begun.values == [1])
    }
}
