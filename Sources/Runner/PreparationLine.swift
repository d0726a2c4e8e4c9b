import Vocabulary

/// Work that waits for one thread: callers take turns, and of one caller's work the oldest is next, so that a caller
/// with a hundred prompts holds up nobody who has one. It learns how long work takes, for the `Retry-After` of requests
/// that are refused.
///
/// It has no bound of its own: all that is appended MUST have a place in `Preparations`.
struct PreparationLine<Work> {
    /// Weight of the newest sample in the moving average.
    private static var weight: Double { 0.25 }
    /// Bounds of a `Retry-After`. **Units:** seconds.
    private static var retrySeconds: ClosedRange<Double> { 1...60 }

    /// Callers with work that waits, the next one first.
    private var turns: [String?] = []
    /// What waits of each of them, the oldest first.
    private var waiting: [String?: [Work]] = [:]
    /// Work that waits or is under way.
    private var count = 0
    /// What work takes; nil before the first sample. **Units:** seconds.
    private var averageSeconds: Double?

    mutating func append(_ work: Work, of caller: String?) {
        if waiting[caller] == nil { turns.append(caller) }
        waiting[caller, default: []].append(work)
        count += 1
    }

    /// Takes out what is next, which is under way until `finish`; nil when nothing waits.
    mutating func next() -> Work? {
        guard let caller = turns.first, var own = waiting.removeValue(forKey: caller) else { return nil }
        turns.removeFirst()
        let work = own.removeFirst()
        if !own.isEmpty {
            waiting[caller] = own
            turns.append(caller)
        }
        return work
    }

    /// What was under way is done; `took` is nil when nobody wanted it any more, which says nothing of the others.
    mutating func finish(took: Duration?) {
        count -= 1
        guard let seconds = took?.inSeconds else { return }
        averageSeconds = averageSeconds.map { $0 + Self.weight * (seconds - $0) } ?? seconds
    }

    /// When all that is there now is expected to be done: whole seconds for a `Retry-After`, 1 while nothing is known.
    var retryAfterSeconds: Int {
        let wait = Double(count) * (averageSeconds ?? 0)
        return Int(min(max(wait, Self.retrySeconds.lowerBound), Self.retrySeconds.upperBound).rounded(.up))
    }
}
