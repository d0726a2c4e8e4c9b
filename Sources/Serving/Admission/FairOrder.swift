/// The order in which waiting requests get lanes: first what began elsewhere and goes on here, for its client has the
/// beginning; then whoever holds the fewest lanes is next, and of one caller's requests the oldest. So a caller with a
/// hundred requests holds up nobody who has one.
package enum FairOrder {
    /// One caller may take so many times the places that are free, so the first takes three quarters of them at most,
    /// and there is always one for somebody else.
    private static let placeShare = 3

    /// Puts the next one first; `held` are the lanes of running requests by caller.
    static func sort(_ waiting: inout [RequestState], held: [String?: Int]) {
        guard let first = waiting.first,
            waiting.contains(where: { $0.caller != first.caller || $0.isResumed != first.isResumed })
        else { return }
        var held = held
        // Newest first, so that the oldest is taken from the end.
        let others = waiting.filter { !$0.isResumed }.sorted { $0.arrival > $1.arrival }
        var lines = Dictionary(grouping: others, by: \.caller)
        waiting = waiting.filter(\.isResumed).sorted { $0.arrival < $1.arrival }
        while let line = lines.min(by: { rank($0, held) < rank($1, held) }) {
            var rest = line.value
            let request = rest.removeLast()
            lines[line.key] = rest.isEmpty ? nil : rest
            held[line.key, default: 0] += request.choices.count
            waiting.append(request)
        }
    }

    private static func rank(
        _ line: (key: String?, value: [RequestState]), _ held: [String?: Int]
    ) -> (lanes: Int, arrival: UInt64) {
        (held[line.key, default: 0], line.value.last?.arrival ?? .max)
    }

    /// Places one caller may have taken in a line of `limit` places before it gets no more, by those that are taken;
    /// who has no name shares the whole line with everybody.
    package static func places(of caller: String?, taken: Int, limit: Int) -> Int {
        caller == nil ? limit : max(1, placeShare * (limit - taken))
    }
}
