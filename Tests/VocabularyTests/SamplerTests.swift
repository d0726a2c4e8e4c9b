import Testing
import Vocabulary

@Suite struct `Samplers at work` {
    @Test(
        arguments: [
            (1, 0, nil, Sampler.allCases), (1, 0, [.topK, .dry], [.topK, .dry]), (1, 0, [], []),
            // Greedy: nothing behind the temperature counts, nor what drops candidates right before it.
            (0, 0, nil, [.penalties, .dry]), (0, 0, [.temperature, .penalties], []),
            (0, 0, [.topK, .penalties, .minP, .temperature, .dry], [.topK, .penalties]),
            // Without its sampler the temperature is none.
            (0, 0, [.topP], [.topP]),
            (1, 2, nil, [.penalties, .dry, .temperature]), (0, 1, nil, [.penalties, .dry]),
        ] as [(Float, Int32, [Sampler]?, [Sampler])])
    func `are those that have a say`(temperature: Float, mirostat: Int32, order: [Sampler]?, expected: [Sampler]) {
        var parameters = SamplingParameters()
        (parameters.temperature, parameters.mirostat, parameters.samplers) = (temperature, mirostat, order)
        #expect(parameters.effectiveSamplers == expected)
    }
}
