/// The outcome of opening a stage's links, told once to whoever waits for it, whichever of the two comes first.
struct Opening {
    private var outcome: RunnerError??
    private var waiter: (@Sendable (RunnerError?) -> Void)?

    /// The links are open (nil) or cannot be opened; the first outcome counts.
    mutating func resolve(_ error: RunnerError?) {
        guard outcome == nil else { return }
        outcome = .some(error)
        waiter?(error)
        waiter = nil
    }

    /// Calls `report` once, now or when the outcome is known.
    mutating func wait(_ report: @escaping @Sendable (RunnerError?) -> Void) {
        if let outcome { report(outcome) } else { waiter = report }
    }
}
