import Serving
import Vocabulary

/// Whether a stage that was just loaded really stops between its layers, which its graph and its devices decide.
enum PauseTrial {
    /// Sends two rows through the layers, one layer at a time, and leaves the stage empty.
    static func passes<Engine: StageEngine & ~Copyable>(_ engine: inout Engine) -> Bool {
        guard engine.canPause else { return false }
        var parameters = SamplingParameters()
        parameters.temperature = 0
        parameters.seed = 0
        let lane = Lane(0)
        let rows = (0..<min(2, engine.shape.rowLimit)).map {
            StageRow(lane: lane, position: Int32($0), token: 0, samples: false)
        }
        var output = StageOutput()
        do throws(EngineError) {
            try engine.apply(.open(lane: lane, sampling: LaneSampling(parameters: parameters, promptLength: 1)))
            let stops = try !engine.advance(rows, for: .zero, into: &output)
            if stops { _ = try engine.advance(rows, for: .zero, into: &output) }
            try engine.apply(.free(lane: lane))
            return stops
        } catch {
            RunnerLog.warn("prompts are not left between layers: \(error)")
            try? engine.apply(.free(lane: lane))
            return false
        }
    }
}
