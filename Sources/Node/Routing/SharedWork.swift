/// Work that is done once for all who want its outcome, and beside them: whoever stops waiting ends it for nobody.
actor SharedWork<Key: Hashable & Sendable, Outcome: Sendable> {
    private let (jobs, submit) = AsyncStream.makeStream(of: (@Sendable () async -> Void).self)
    /// Who waits, by number; there is an entry, and be it an empty one, for all that is under way.
    private(set) var waiters: [Key: [UInt64: AsyncStream<Outcome>.Continuation]] = [:]
    private var waiterCount: UInt64 = 0
    private var isOver = false

    /// Does what is wanted until it is cancelled; then nobody waits any more.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await job in jobs { group.addTask { await job() } }
        }
        isOver = true
        for waiting in waiters.values {
            for waiter in waiting.values { waiter.finish() }
        }
        waiters = [:]
    }

    /// What comes of the work for `key`: of that under way, else of `work`, which begins as soon as this runs. Nil when
    /// `end` comes first, the one who waits is cancelled, or nothing is done here any more.
    func outcome(
        for key: Key, until end: ContinuousClock.Instant?, _ work: @escaping @Sendable () async -> Outcome
    ) async -> Outcome? {
        guard !isOver else { return nil }
        let (outcomes, waiter) = AsyncStream.makeStream(of: Outcome.self)
        waiterCount += 1
        let number = waiterCount
        let isUnderWay = waiters[key] != nil
        waiters[key, default: [:]][number] = waiter
        if !isUnderWay { submit.yield({ await self.finish(key, work()) }) }
        let outcome = await outcomes.first(until: end)
        waiters[key]?[number] = nil
        return outcome
    }

    private func finish(_ key: Key, _ outcome: Outcome) {
        for waiter in (waiters.removeValue(forKey: key) ?? [:]).values {
            waiter.yield(outcome)
            waiter.finish()
        }
    }
}

extension AsyncStream where Element: Sendable {
    /// The first element; nil when the stream ends without one, `end` comes first, or the one who waits is cancelled.
    func first(until end: ContinuousClock.Instant?) async -> Element? {
        await withTaskGroup(of: Element?.self) { group in
            group.addTask {
                for await element in self { return element }
                return nil
            }
            if let end {
                group.addTask {
                    try? await Task.sleep(until: end, clock: .continuous)
                    return nil
                }
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }
}
