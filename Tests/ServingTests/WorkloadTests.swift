import Testing

/// Worlds that are as they should be, and that would show it if they were not.
@Suite struct `Random workloads` {
    /// Worlds, answers in them, and worlds in which steps failed or stages were lost.
    private typealias Tally = (worlds: Int, answers: Int, faulty: Int)

    private static func run(_ seeds: [UInt64], part: Int) async throws -> Tally {
        var tally: Tally = (0, 0, 0)
        for index in stride(from: part, to: seeds.count, by: 4) {
            let outcome = try RandomWorld.run(seed: seeds[index])
            #expect(outcome.problem == nil, "SEED=\(seeds[index])")
            tally.worlds += 1
            tally.answers += outcome.answerCount
            tally.faulty += outcome.hadFaults ? 1 : 0
            await Task.yield()
        }
        return tally
    }

    /// On every core at once; between worlds other tests get their turn, as few threads carry all of them.
    @Test func `keep every promise under faults`() async throws {
        let seeds = Seeds.first(Seeds.usual)
        let total = try await withThrowingTaskGroup(of: Tally.self, returning: Tally.self) { group in
            for part in 0..<4 { group.addTask { try await Self.run(seeds, part: part) } }
            var total: Tally = (0, 0, 0)
            for try await tally in group {
                total.worlds += tally.worlds
                total.answers += tally.answers
                total.faulty += tally.faulty
            }
            return total
        }
        #expect(total.worlds == seeds.count)
        // Worlds in which nothing happens find nothing.
        guard seeds.count >= 100 else { return }
        #expect(total.answers > total.worlds)
        #expect(total.faulty * 2 > total.worlds)
    }

    /// Worlds in which a planted bug has to be found at least once.
    private static let mutated: ClosedRange<UInt64> = 1...60

    @Test(arguments: Mutation.allCases)
    func `find a planted bug`(mutation: Mutation) throws {
        let found = try Self.mutated.first { try RandomWorld.run(seed: $0, planted: mutation).problem != nil }
        let seed = try #require(found)
        #expect(try RandomWorld.run(seed: seed).problem == nil, "SEED=\(seed) is no good world without it, either")
    }
}
