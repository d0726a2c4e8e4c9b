import Foundation
import Runner
import Serving
import Testing
import Transport
import Vocabulary

@testable import Node

@Suite struct `Remembered costs` {
    private func stage(_ change: (inout RunnerConfiguration) -> Void = { _ in }) -> RunnerConfiguration {
        var stage = RunnerConfiguration(
            cluster: "tests", placement: "tiny", epoch: Epoch(term: 1, number: 1), stageIndex: 0,
            stages: [LayerRange(first: 0, end: 4), LayerRange(first: 4, end: 8)],
            modelDigest: String(repeating: "a7", count: 32), path: "/m.gguf", recipe: .whole(width: 2),
            laneCount: 4, cellCount: 64, window: 64, listen: .unix(path: "/tmp/x.sock"))
        change(&stage)
        return stage
    }

    private func costs(_ nanoseconds: Double...) throws -> StepCosts {
        try #require(StepCosts(nanoseconds.enumerated().map { .init(rows: $0.offset + 1, nanoseconds: $0.element) }))
    }

    @Test func `are relied upon after three starts, the shortest time of each`() async throws {
        try await Fixture.withFolder { folder in
            let cache = StepCostCache(folder: folder + "/costs")
            #expect(cache.costs(of: stage()) == nil)
            cache.remember(try costs(10, 30), of: stage())
            cache.remember(try costs(12, 20, 40), of: stage())
            #expect(cache.costs(of: stage()) == nil)
            cache.remember(try costs(11, 25), of: stage())
            #expect(cache.costs(of: stage()) == (try costs(10, 20, 40)))
            #expect(StepCostCache(folder: folder + "/costs").costs(of: stage()) == (try costs(10, 20, 40)))
        }
    }

    @Test func `count only where nothing that moves them differs, and a damaged file is none`() async throws {
        try await Fixture.withFolder { folder in
            let cache = StepCostCache(folder: folder)
            for _ in 0..<3 { cache.remember(try costs(10), of: stage()) }
            #expect(cache.costs(of: stage { $0.epoch = Epoch(term: 9, number: 9) }) != nil)
            #expect(cache.costs(of: stage { $0.threads = 2 }) == nil)
            #expect(cache.costs(of: stage { $0.stageIndex = 1 }) == nil)
            #expect(cache.costs(of: stage { $0.rowLimit = 7 }) == nil)
            #expect(cache.costs(of: stage { $0.laneCount = 8 }) == nil)
            for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
                try Data("[7".utf8).write(to: URL(filePath: folder + "/" + name))
            }
            #expect(cache.costs(of: stage()) == nil)
        }
    }
}
