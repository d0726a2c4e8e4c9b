import Vocabulary

/// Whether a stage that was just loaded really stops between its layers, which its graph and its devices decide.
package enum PauseTrial {
    /// Sends two rows through the layers, one layer at a time, and leaves the stage empty, as it MUST be before.
    ///
    /// **Throws:** why it cannot.
    package static func passes<Engine: StageEngine & ~Copyable>(_ engine: inout Engine) throws(EngineError) -> Bool {
        guard engine.canPause else { return false }
        var parameters = SamplingParameters()
        parameters.temperature = 0
        parameters.seed = 0
        let lane = Lane(0)
        let rows = (0..<min(2, engine.shape.rowLimit)).map {
            StageRow(lane: lane, position: Int32($0), token: 0, samples: false)
        }
        let floats = [Float](repeating: 0, count: engine.shape.isFirst ? 0 : rows.count * engine.shape.width)
        var output = StageOutput()
        do throws(EngineError) {
            try engine.apply(.open(lane: lane, sampling: LaneSampling(parameters: parameters, promptLength: 1)))
            let stops = try !engine.advance(rows, activations: floats.span, for: .zero, into: &output)
            if stops { _ = try engine.advance(rows, activations: floats.span, for: .zero, into: &output) }
            try engine.apply(.free(lane: lane))
            return stops || engine.shape.layers.count == 1
        } catch {
            try? engine.apply(.free(lane: lane))
            throw error
        }
    }
}
