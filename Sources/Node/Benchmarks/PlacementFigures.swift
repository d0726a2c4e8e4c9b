import Vocabulary

/// What a placement was predicted to take, and took.
struct PlacementFigures {
    /// How far a stage's resident bytes may be off the prediction, as a share of it.
    static let memoryBound = 0.05
    /// How far tokens per second may be off the prediction, as a share of it.
    static let speedBound = 0.15

    /// What rounding may add to a ratio.
    private static let slack = 1e-9

    let label: String
    /// The plan's bytes of each stage.
    private let planned: [ByteCount]
    /// Resident bytes of each stage; nil where the system does not tell.
    private let resident: [UInt64?]
    private var predicted: [Double] = []
    private var measured: [Double] = []

    /// The figures of a placement whose stages have run.
    init(label: String, planned: [ByteCount], resident: [UInt64?]) {
        self.label = label
        self.planned = planned
        self.resident = resident
    }

    /// Takes a run: tokens per second as predicted from what was measured of the device right before, and as they came.
    mutating func add(predicted: Double, measured: Double) {
        self.predicted.append(predicted)
        self.measured.append(measured)
    }

    /// Measured over predicted, of every run.
    private var speedRatios: [Double] { zip(measured, predicted).map { $0 / $1 } }

    private func memoryRatio(_ stage: Int) -> Double? {
        resident[stage].map { Double($0) / Double(max(1, planned[stage].bytes)) }
    }

    /// The newest run, for whoever waits.
    var latest: String {
        guard let predicted = predicted.last, let measured = measured.last else { return "" }
        return "\(BenchReport.rounded(measured)) tokens/s, predicted \(BenchReport.rounded(predicted))"
    }

    var results: [BenchReport.Result] {
        let mebibyte = Double(1 << 20)
        func stage(_ index: Int, _ metric: String, _ unit: String, _ value: Double) -> BenchReport.Result {
            .init(metric, of: label, stage: index, unit: unit, [value])
        }
        let memory = planned.indices.flatMap { index -> [BenchReport.Result] in
            var results = [stage(index, "predicted_mib", "MiB", Double(planned[index].bytes) / mebibyte)]
            if let bytes = resident[index] {
                results.append(stage(index, "resident_mib", "MiB", Double(bytes) / mebibyte))
            }
            if let ratio = memoryRatio(index) {
                results.append(stage(index, "resident_over_predicted", "ratio", ratio))
            }
            return results
        }
        return memory + [
            .init("predicted_tok_s", of: label, unit: "tokens/s", predicted),
            .init("decode_tok_s", of: label, unit: "tokens/s", measured),
            .init("decode_over_predicted", of: label, unit: "ratio", speedRatios),
        ]
    }

    /// What is outside its bound, one sentence each.
    var misses: [String] {
        var misses: [String] = []
        for index in planned.indices {
            guard let ratio = memoryRatio(index) else {
                misses.append("\(label), stage \(index): the system does not tell what its process takes.")
                continue
            }
            guard abs(ratio - 1) > Self.memoryBound + Self.slack else { continue }
            misses.append(
                "\(label), stage \(index): \(BenchReport.rounded(ratio)) of the predicted bytes are resident, outside "
                    + "0.95 … 1.05.")
        }
        let ratio = Percentile.of(0.5, sorted: speedRatios.sorted())
        if !(abs(ratio - 1) <= Self.speedBound + Self.slack) {
            misses.append(
                "\(label): \(BenchReport.rounded(ratio)) of the predicted tokens per second come, outside 0.85 … 1.15.")
        }
        return misses
    }
}
