import Vocabulary

/// Learns from finished requests how long a lane is held, for predicted waits and `Retry-After`.
struct WaitEstimator: Sendable {
    /// Weight of the newest sample in the moving averages.
    static let weight = 0.25

    private(set) var prefillSecondsPerToken: Double?
    private(set) var decodeSecondsPerToken: Double?
    private(set) var outputTokens: Double?

    mutating func record(promptTokens: Int, outputTokens: Int, timings: Timings) {
        Self.mix(&prefillSecondsPerToken, timings.prefillSeconds / Double(max(1, promptTokens)))
        Self.mix(&self.outputTokens, Double(outputTokens))
        if outputTokens > 1 { Self.mix(&decodeSecondsPerToken, timings.decodeSeconds / Double(outputTokens - 1)) }
    }

    /// Takes a request whose answer was a vector: it says nothing of how long texts get.
    mutating func record(promptTokens: Int, timings: Timings) {
        Self.mix(&prefillSecondsPerToken, timings.prefillSeconds / Double(max(1, promptTokens)))
    }

    /// Expected seconds a lane is held by a text that becomes a vector; nil before the first sample.
    func seconds(promptTokens: Int) -> Double? { prefillSecondsPerToken.map { $0 * Double(promptTokens) } }

    /// Expected seconds a lane is held by one choice; nil before the first sample.
    func seconds(promptTokens: Int, outputLimit: Int) -> Double? {
        guard let prefillSecondsPerToken, let outputTokens else { return nil }
        return prefillSecondsPerToken * Double(promptTokens)
            + (decodeSecondsPerToken ?? 0) * min(Double(outputLimit), outputTokens)
    }

    private static func mix(_ average: inout Double?, _ sample: Double) {
        average = average.map { $0 + weight * (sample - $0) } ?? sample
    }
}
