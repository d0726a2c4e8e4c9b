/// Learns what the links between the stages add to a step, from steps that met no other on their way.
struct HopEstimator: Hashable, Sendable {
    /// From stage 0 and back, beyond the stages' own time. **Units:** nanoseconds.
    private(set) var nanoseconds = 0.0
    private var isFresh = true

    /// Takes one step's time beyond what its stages were expected to take. What makes a step late passes, so a shorter
    /// time counts at once and a longer one slowly.
    mutating func record(_ sample: Double) {
        let sample = max(0, sample)
        let weight = isFresh || sample < nanoseconds ? 1 : 0.05
        nanoseconds += weight * (sample - nanoseconds)
        isFresh = false
    }
}
