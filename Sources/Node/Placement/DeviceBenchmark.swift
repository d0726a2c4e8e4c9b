package import GGUF
import LlamaEngine
package import Placement

/// Measures how fast a device is at what decoding and prompts are made of.
package enum DeviceBenchmark {
    /// Rows of a prefill step that is timed.
    private static let prefillRows = 128

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
        if let cost = median(times), cost > 0 {
            let elements = 1e9 / Double(type.blockByteCount) * Double(type.blockElementCount)
            speed.prefillOperationsPerSecond = 2 * elements * Double(prefillRows) / cost * 1000
        }
        return speed
    }

    private static func median(_ figures: [Double]) -> Double? {
        figures.isEmpty ? nil : Percentile.of(0.5, sorted: figures.sorted())
    }
}
