package import GGUF
import LlamaEngine
package import Placement
import Runner

/// Measures how fast a device is at what decoding and prompts are made of.
package enum DeviceBenchmark {
    /// Rows of a prefill step that is timed.
    private static let prefillRows = 128
    /// Runs of each timing of a survey.
    private static let surveyRuns = 3
    /// Types of weights that a survey times after the first one, in this order, while there is time.
    private static let surveyedTypes: [TensorType] = [.q4_K, .q6_K, .f16]
    /// No timing of a survey begins later than this.
    package static let surveyBudget = Duration.milliseconds(700)
    /// A run that had less of its threads' time than this was disturbed by others.
    private static let undisturbedShare = 0.9

    /// The figures of a device for weights of `types`: medians over `runs`. A type the device cannot compute is left
    /// out. Takes about a tenth of a second per run and type, and needs 200 MB of memory for that time.
    ///
    /// `device` is the engine's name of it, nil the processor with `threads`.
    package static func speed(
        of types: [TensorType], device: String? = nil, threads: Int, runs: Int, withPrefill: Bool
    ) -> DeviceSpeed {
        let timing = DeviceTiming(device: device, threads: threads)
        var speed = DeviceSpeed()
        for type in types {
            let times = timing.millisecondsPerGigabyte(type: type.rawValue, rows: 1, runs: runs)
            guard let cost = median(times), cost > 0 else { continue }
            speed.rowCosts.append(.init(type: type.description, rows: 1, millisecondsPerGigabyte: cost))
        }
        // The type with most blocks stands for all where no other figure is known.
        if let first = speed.rowCosts.first(where: { $0.type != "f32" }) ?? speed.rowCosts.first {
            speed.weightReadBytesPerSecond = 1e12 / first.millisecondsPerGigabyte
        }
        speed.attentionOperationsPerSecond = median(timing.attentionOperationsPerSecond(runs: runs))
        guard withPrefill, let type = types.first(where: { $0 != .f32 }) ?? types.first else { return speed }
        let times = timing.millisecondsPerGigabyte(type: type.rawValue, rows: prefillRows, runs: runs)
        speed.prefillOperationsPerSecond = median(times).flatMap { prefillRate(type, cost: $0) }
        return speed
    }

    /// What a node tells of its device: measured in about a second, the most telling figures first, each the best of a
    /// few runs, because others can only make a run slower.
    ///
    /// What there was no time for is left out; without the first figure nothing is known and the answer is nil.
    package static func survey(
        device: String?, threads: Int, budget: Duration = surveyBudget,
        elapsed: () -> Duration = Stopwatch.started()
    ) -> DeviceFigures? {
        let timing = DeviceTiming(device: device, threads: threads)
        var share: Double?
        /// The best sample by `isBetter`, and how much it was disturbed.
        func best(
            _ samples: [DeviceTiming.Sample], by isBetter: (Double, Double) -> Bool
        ) -> Double? {
            let known = samples.filter { $0.figure > 0 && $0.figure.isFinite }
            guard let found = known.min(by: { isBetter($0.figure, $1.figure) }) else { return nil }
            if let own = found.share { share = min(share ?? own, own) }
            return found.figure
        }
        func cost(_ type: TensorType, rows: Int) -> Double? {
            best(timing.millisecondsPerGigabyte(type: type.rawValue, rows: rows, runs: surveyRuns), by: <)
        }
        let first = TensorType.q8_0
        guard let reading = cost(first, rows: 1) else { return nil }
        var speed = DeviceSpeed(
            weightReadBytesPerSecond: 1e12 / reading,
            rowCosts: [.init(type: first.description, rows: 1, millisecondsPerGigabyte: reading)])
        if elapsed() < budget {
            speed.prefillOperationsPerSecond = cost(first, rows: prefillRows).flatMap { prefillRate(first, cost: $0) }
        }
        if elapsed() < budget {
            speed.attentionOperationsPerSecond = best(
                timing.attentionOperationsPerSecond(runs: surveyRuns), by: >)
        }
        for type in surveyedTypes where elapsed() < budget {
            guard let cost = cost(type, rows: 1) else { continue }
            speed.rowCosts.append(.init(type: type.description, rows: 1, millisecondsPerGigabyte: cost))
        }
        return DeviceFigures(
            device: device, threads: threads, speed: speed, isDisturbed: (share ?? 1) < undisturbedShare)
    }

    private static func prefillRate(_ type: TensorType, cost: Double) -> Double? {
        guard cost > 0 else { return nil }
        let elements = 1e9 / Double(type.blockByteCount) * Double(type.blockElementCount)
        return 2 * elements * Double(prefillRows) / cost * 1000
    }

    private static func median(_ samples: [DeviceTiming.Sample]) -> Double? {
        samples.isEmpty ? nil : Percentile.of(0.5, sorted: samples.map(\.figure).sorted())
    }
}
