import GGUF
import Placement
import Testing
import Vocabulary

@testable import Node

@Suite struct `Predictions held against measurements` {
    @Test func `are within the bounds up to a twentieth of memory and three twentieths of speed`() {
        var figures = PlacementFigures(
            label: "case", planned: [ByteCount(1000), ByteCount(1000)], resident: [1050, 950])
        for measured in [115.0, 85, 100, 200, 90] { figures.add(predicted: 100, measured: measured) }
        #expect(figures.misses.isEmpty)
        #expect(figures.results.count == 9)
        #expect(
            figures.results.filter { $0.stage == 1 }.map(\.metric)
                == ["predicted_mib", "resident_mib", "resident_over_predicted"])
        #expect(figures.results.last?.value == 1)
        #expect(figures.results.allSatisfy { $0.case == "case" })
    }

    @Test func `beyond them are told, as is what nobody can tell`() {
        var figures = PlacementFigures(
            label: "case", planned: [ByteCount(1000), ByteCount(1000), ByteCount(1000)], resident: [1051, nil, 949])
        for measured in [80.0, 84, 120, 84, 70] { figures.add(predicted: 100, measured: measured) }
        #expect(figures.misses.count == 4)
        #expect(figures.misses[1].contains("does not tell"))
        #expect(figures.misses[3].contains("0.84 of the predicted tokens"))
    }

    @Test func `without a run are outside the bounds`() {
        let figures = PlacementFigures(label: "case", planned: [], resident: [])
        #expect(figures.misses.count == 1)
    }

    private func plan(_ change: (inout PlacementCase) -> Void) throws -> PlacementPlan {
        var shape = ModelShape(.llama)
        shape.layerCount = 6
        let model = try ModelFootprint(try ModelCutter(try shape.writer().layout().file))
        var one = PlacementCase(label: "case", model: "/m.gguf")
        change(&one)
        let cut = try #require(Cut(layerCount: 6, boundaries: [2, 4]))
        let speed = DeviceSpeed(
            weightReadBytesPerSecond: 1e9, attentionOperationsPerSecond: 1e9,
            rowCosts: [.init(type: "q8_0", rows: 1, millisecondsPerGigabyte: 1000)])
        return try PlacementBench.plan(one, model, cut, speed: speed)
    }

    @Test func `plan the stages where the placement is cut, with its settings`() throws {
        let plan = try plan { ($0.window, $0.lanes, $0.rows) = (512, 2, 64) }
        #expect(plan.stages.map(\.layers.first) == [0, 2, 4])
        #expect(Set(plan.stages.map(\.node)).count == 1)
        #expect(plan.context == 512)
        #expect(plan.tokenTime.isMeasured)
    }

    @Test func `plan machines apart where hops take time`() throws {
        let near = try plan { _ in }
        let far = try plan { $0.delayMicroseconds = 5000 }
        #expect(Set(far.stages.map(\.node)).count == 3)
        // Two hops and the way back, 5 ms each.
        #expect(abs(far.tokenTime.milliseconds - near.tokenTime.milliseconds - 15) < 0.1)
    }
}
