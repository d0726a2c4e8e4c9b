import Serving
import Testing
import Vocabulary

@Suite struct `Guesses from the text so far` {
    private func source(_ tokens: [Token], slots: Int = 16384) -> NgramDraft {
        var source = NgramDraft(slotCount: slots)
        for token in tokens { source.push(token) }
        return source
    }

    @Test func `are what followed the longest group last time`() {
        let found = source([1, 2, 3, 4, 9, 9, 7, 2, 3, 5, 1, 2, 3])
        // Behind 2 3 came 5 most lately, but 1 2 3 is longer.
        #expect(found.draft(width: 3) == Draft(tokens: [4, 9, 9], evidence: 1))
        #expect(source([2, 3, 4, 2, 3, 5, 2, 3]).draft(width: 1) == Draft(tokens: [5], evidence: 0))
        #expect(source([5, 6, 7, 8, 1, 5, 6, 7, 8]).draft(width: 2) == Draft(tokens: [1, 5], evidence: 2))
    }

    @Test func `go round a period as far as they are asked to`() {
        #expect(source([1, 2, 1, 2, 1, 2]).draft(width: 5).tokens == [1, 2, 1, 2, 1])
        #expect(source([7, 7, 7]).draft(width: 4).tokens == [7, 7, 7, 7])
    }

    @Test func `are none where nothing repeats`() {
        #expect(source([]).draft(width: 4).tokens == [])
        #expect(source([1]).draft(width: 4).tokens == [])
        #expect(source([1, 2, 3, 4]).draft(width: 4).tokens == [])
        #expect(source([1, 2, 1, 2]).draft(width: 0).tokens == [])
    }

    @Test func `equal those of a search through everything`() {
        for seed in 1...20 as ClosedRange<UInt64> {
            var random = SeededRandom(seed: seed)
            var tokens: [Token] = []
            var source = NgramDraft()
            for _ in 0..<150 {
                let token = Token(random.below(2))
                tokens.append(token)
                source.push(token)
                #expect(source.draft(width: 1) == Self.search(tokens), "SEED=\(seed)")
            }
        }
    }

    @Test func `of a full table are still true`() {
        var random = SeededRandom(seed: 3)
        var tokens: [Token] = []
        var source = NgramDraft(slotCount: 8)
        var found = 0
        for _ in 0..<3000 {
            let token = Token(random.below(6))
            tokens.append(token)
            source.push(token)
            let draft = source.draft(width: 1)
            guard let guess = draft.tokens.first else { continue }
            found += 1
            let group = tokens.suffix(draft.evidence + 2) + [guess]
            let isTrue = tokens.indices.dropLast(group.count - 1).contains {
                tokens[$0..<$0 + group.count].elementsEqual(group)
            }
            #expect(isTrue)
        }
        #expect(found > 0)
    }

    private static func search(_ tokens: [Token]) -> Draft {
        for length in [4, 3, 2] where tokens.count > length {
            let group = tokens.suffix(length)
            for follower in (length..<tokens.count).reversed()
            where tokens[follower - length..<follower].elementsEqual(group) {
                return Draft(tokens: [tokens[follower]], evidence: length - 2)
            }
        }
        return Draft()
    }
}

@Suite struct `The width of a window` {
    private func steep() throws -> StepCosts { try Requests.costs([1: 24, 2: 93, 4: 119, 8: 154, 16: 241]) }
    private func stepped() throws -> StepCosts { try Requests.costs([1: 23, 2: 36, 3: 48, 4: 83, 8: 108, 16: 173]) }

    private func load(_ chance: Double, stages: Int = 1, lanes: Int = 1, hop: Double = 0) -> DraftLoad {
        DraftLoad(
            stageCount: stages, decodingLanes: lanes, decodeLanes: 1, rows: 1, tokens: 1,
            chances: Array(repeating: chance, count: Limits.draftWidth), hopNanoseconds: hop)
    }

    @Test func `is what brings most tokens per time`() throws {
        let steep = CostBatchPolicy([try steep()])
        // One row is so cheap that only guesses that are nearly always right pay.
        #expect(steep.draftWidth(for: load(0.9)) == 0)
        #expect(steep.draftWidth(for: load(1)) == 15)
        let stepped = CostBatchPolicy([try stepped()])
        #expect(stepped.draftWidth(for: load(0.9)) == 2)
        #expect(stepped.draftWidth(for: load(0.5)) == 0)
        let flat = CostBatchPolicy([try Requests.costs([1: 10, 64: 11])])
        #expect((3...8).contains(flat.draftWidth(for: load(0.5))))
        #expect(flat.draftWidth(for: load(0)) == 0)
    }

    @Test func `grows where stages would stand idle`() throws {
        let pair = CostBatchPolicy([try steep(), try steep()])
        #expect(pair.draftWidth(for: load(0.9, stages: 2, hop: 40e6)) >= 7)
        // Sixteen lanes fill both stages.
        #expect(pair.draftWidth(for: load(0.9, stages: 2, lanes: 16, hop: 40e6)) == 0)
    }

    @Test func `is small without costs, and none for guesses that are mostly wrong`() {
        let even = EvenBatchPolicy()
        #expect(even.draftWidth(for: load(0.5)) == 1)
        #expect(even.draftWidth(for: load(0.95)) == Limits.draftWidthWithoutCosts)
        #expect(even.draftWidth(for: load(0.4)) == 0)
    }
}
