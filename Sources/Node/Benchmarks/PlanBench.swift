import GGUF
import LlamaEngine
import Placement
import Vocabulary

/// How long planning takes where much is to be planned.
package enum PlanBench {
    /// The longest a plan may take, as a median over random machines. **Units:** milliseconds.
    package static let bound = 200.0

    /// What is asked of the planner.
    private enum Question: String, CaseIterable {
        case contextAsked = "context_asked"
        case contextChosen = "context_chosen"
        case shortfall
    }

    /// Plans a model of `layers` layers on `nodes` machines with random memory, rates and links.
    ///
    /// **Throws:** `PlacementError` when there is nothing to be planned so.
    package static func run(nodes: Int, layers: Int, runs: Int) throws -> BenchReport {
        var report = BenchReport(
            "plan", model: "llama shape", settings: ["nodes": "\(nodes)", "layers": "\(layers)"],
            engine: LlamaLibrary.version)
        let model = try ModelFootprint(try ModelCutter(try shape(layers).writer().layout().file))
        var misses: [String] = []
        for question in Question.allCases {
            var times: [Double] = []
            for run in 0..<runs {
                let planner = try Planner(model: model, inventory: inventory(nodes, model, question, seed: UInt64(run)))
                var request = PlacementRequest(context: question == .contextChosen ? nil : 8192)
                request.lanes = 4
                let began = ContinuousClock.now
                let answer = try planner.plan(request)
                times.append((ContinuousClock.now - began).inSeconds * 1000)
                if case .placed = answer, question == .shortfall { misses.append("A model was placed without room.") }
                if case .shortfall(let why) = answer, question != .shortfall { misses.append("\(why)") }
            }
            let result = BenchReport.Result("plan_\(question.rawValue)_ms", unit: "ms", times)
            report.results.append(result)
            guard result.p50 > bound else { continue }
            misses.append("\(question.rawValue): \(BenchReport.rounded(result.p50)) ms, more than \(Int(bound)).")
        }
        report.misses = misses
        return report
    }

    private static func shape(_ layers: Int) -> ModelShape {
        var shape = ModelShape(.llama)
        (shape.layerCount, shape.width, shape.feedForward) = (layers, 4096, 14_336)
        (shape.headCount, shape.headCountKV, shape.headSize) = (32, 8, 128)
        (shape.vocabularySize, shape.contextLength) = (32_000, 32_768)
        return shape
    }

    /// Machines of which about a quarter together hold the model, or all of them not even half of it.
    private static func inventory(
        _ count: Int, _ model: ModelFootprint, _ question: Question, seed: UInt64
    ) -> Inventory {
        var random = SeededRandom(seed: seed &+ 1)
        func draw(_ low: Double, _ high: Double) -> Double {
            low + (high - low) * Double(random.below(1_000_000)) / 1e6
        }
        let whole = Double(model.stage(model.whole, MemorySettings(cells: 8192)).total.bytes)
        let share = whole / Double(count) * (question == .shortfall ? 0.5 : 4)
        let nodes = (0..<count).map { index in
            let speed = DeviceSpeed(
                weightReadBytesPerSecond: draw(5e9, 60e9), prefillOperationsPerSecond: draw(50e9, 2000e9))
            let memory = ByteCount(UInt64(share * draw(0.5, 1.5)))
            return NodeInventory(name: "n\(index)", devices: [DeviceInventory(usableMemory: memory, speed: speed)])
        }
        let links = nodes.flatMap { from in
            nodes.filter { $0.name != from.name }.map { to in
                LinkInventory(
                    from: from.name, to: to.name, roundTripMilliseconds: draw(0.1, 5), bytesPerSecond: draw(10e6, 1.2e9)
                )
            }
        }
        return Inventory(nodes: nodes, links: links)
    }
}
