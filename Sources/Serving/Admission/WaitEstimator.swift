import Vocabulary

/// Learns from finished requests how long a lane is held, for predicted waits and `Retry-After`.
struct WaitEstimator: Sendable {
    /// Weight of the newest sample in the moving averages.
    static let weight = 0.25

    /// What prompts took and how many of their tokens were computed: a prompt of which nearly all was kept says little
    /// of what a token takes.
    private var prefillSeconds: Double?
    private var prefillTokens: Double?
    private(set) var decodeSecondsPerToken: Double?
    private(set) var outputTokens: Double?

    /// Takes a finished request: how many of its prompt's tokens were not kept from before, and how many one of its
    /// answers has; nil for a vector, which says nothing of how long texts get.
    mutating func record(computedTokens: Int, outputTokens: Int?, timings: Timings) {
        Self.mix(&prefillSeconds, timings.prefillSeconds)
        Self.mix(&prefillTokens, Double(max(1, computedTokens)))
        guard let outputTokens else { return }
        Self.mix(&self.outputTokens, Double(outputTokens))
        if outputTokens > 1 { Self.mix(&decodeSecondsPerToken, timings.decodeSeconds / Double(outputTokens - 1)) }
    }

    /// Expected seconds a lane is held by a text that becomes a vector; nil before the first sample.
    func seconds(promptTokens: Int) -> Double? {
        guard let prefillSeconds, let prefillTokens else { return nil }
        return prefillSeconds / prefillTokens * Double(promptTokens)
    }

    /// Expected seconds a lane is held by one choice; nil before the first sample.
    func seconds(promptTokens: Int, outputLimit: Int) -> Double? {
        guard let prefill = seconds(promptTokens: promptTokens), let outputTokens else { return nil }
        return prefill + (decodeSecondsPerToken ?? 0) * min(Double(outputLimit), outputTokens)
    }

    private static func mix(_ average: inout Double?, _ sample: Double) {
        average = average.map { $0 + weight * (sample - $0) } ?? sample
    }
}
