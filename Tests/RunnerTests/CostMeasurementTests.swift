import Serving
import Testing
import Vocabulary

@testable import Runner

@Suite struct `Timing the steps of a stage` {
    /// Costs of a stage whose steps take what `time` says of their number, from 0, and of their rows.
    private static func costs(
        _ time: (_ step: Int, _ rows: Int) -> Duration
    ) -> (costs: StepCosts?, diary: [EngineDiary.Entry]) {
        let diary = EngineDiary()
        var engine = ScriptedEngine(layers: LayerRange(first: 0, end: 4), diary: diary)
        let costs = CostMeasurement.costs(of: &engine) {
            let steps = diary.all.compactMap { entry in
                if case .executed(let rows, _) = entry { rows.count } else { nil }
            }
            return steps.enumerated().reduce(.zero) { $0 + time($1.offset, $1.element) }
        }
        return (costs, diary.all)
    }

    @Test func `weights that come slowly from the disk neither count nor take the others' time`() throws {
        let (costs, _) = Self.costs { step, rows in step == 0 ? .seconds(3) : .milliseconds(10 * rows) }
        let points = try #require(costs).points
        #expect(points.map(\.rows) == [1, 2, 3, 4, 6, 8, 12, 16])
        #expect(points.allSatisfy { $0.nanoseconds == 10e6 * Double($0.rows) })
    }

    @Test func `a slow stage gets fewer points, the most telling first`() throws {
        let (costs, _) = Self.costs { _, rows in .milliseconds(300 + 100 * rows) }
        #expect(try #require(costs).points.map(\.rows) == [1, 2, 4, 8])
    }

    @Test func `the shortest time counts, and every lane is empty again`() throws {
        let (costs, diary) = Self.costs { step, _ in .milliseconds(step % 2 == 1 ? 30 : 20) }
        #expect(try #require(costs).points.allSatisfy { $0.nanoseconds == 20e6 })
        var open: Set<Lane> = []
        for case .applied(let operation) in diary {
            switch operation {
            case .open(let lane, _): #expect(open.insert(lane).inserted)
            case .free(let lane): #expect(open.remove(lane) != nil)
            default: Issue.record("\(operation)")
            }
        }
        #expect(open.isEmpty)
    }
}
