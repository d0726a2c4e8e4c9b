/// Tells how long something took, where a test brings its own time.
package enum Stopwatch {
    /// How long ago this was called.
    package static func started() -> () -> Duration {
        let began = ContinuousClock.now
        return { ContinuousClock.now - began }
    }
}
