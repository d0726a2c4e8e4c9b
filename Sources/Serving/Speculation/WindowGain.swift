/// What verify windows bring one answer, by the clock: its tokens per time with and without them.
///
/// The policy sends windows that should pay by the costs timed when the stages were loaded. This is the check: a longer
/// context, a busy machine or a costly sampler may make rows dearer than they were then.
struct WindowGain: Hashable, Sendable {
    /// Tokens and time of the latest steps, older ones fading.
    private struct Pace: Hashable {
        var tokens = 0.0
        var nanoseconds = 0.0
        var steps = 0

        mutating func record(_ count: Int, _ time: Double) {
            let rest = 1 - 1 / Limits.gainMemory
            tokens = tokens * rest + Double(count)
            nanoseconds = nanoseconds * rest + time
            steps += 1
        }

        var isKnown: Bool { steps >= Limits.gainSteps }
        var rate: Double { tokens / max(1, nanoseconds) }
    }

    private var plain = Pace()
    private var windows = Pace()
    /// Steps without windows that are still to come.
    private var pause = 0
    private var nextPause = Limits.windowPause

    /// Whether windows may be sent: the first steps of an answer go without, as the measure for the others, and after
    /// windows that were slower there is a pause.
    var allowsWindows: Bool { plain.isKnown && pause == 0 }

    /// Tokens per nanosecond without windows; nil while it is not known.
    var plainRate: Double? { plain.isKnown ? plain.rate : nil }

    /// Takes a step that carried nothing but decoding lanes.
    mutating func record(tokens: Int, nanoseconds: Double, isWindow: Bool) {
        guard isWindow else {
            plain.record(tokens, nanoseconds)
            pause = max(0, pause - 1)
            return
        }
        windows.record(tokens, nanoseconds)
        guard windows.isKnown, windows.rate < plain.rate else { return }
        pause = nextPause
        nextPause = min(2 * nextPause, Limits.longestWindowPause)
        windows = Pace()
    }
}
