import Serving
import Synchronization
import Vocabulary

/// Requests that are being templated and tokenised, or wait for it. A place is taken until the thread is done with it,
/// so that clients who come and go cannot make a line of work that nobody waits for.
struct Preparations {
    /// One request's way through the threads; what it stands for may be over before its turn comes.
    final class Ticket: Sendable {
        private let cancelled = Atomic(false)

        /// Nobody waits for the outcome any more.
        var isCancelled: Bool { cancelled.load(ordering: .relaxed) }

        fileprivate func cancel() { cancelled.store(true, ordering: .relaxed) }
    }

    /// When a request's time is up.
    struct Deadline: Sendable, Hashable {
        let at: Instant
        /// What its client gave it. **Units:** seconds.
        let seconds: Double

        /// That of a request which came at `arrival`; nil without one. What is no time is refused in words later.
        init?(of request: GenerationRequest, arrival: Instant) {
            guard let seconds = request.timeoutSeconds, (0...Serving.Limits.longestSeconds).contains(seconds) else {
                return nil
            }
            at = arrival.advanced(by: .seconds(max(0, seconds - max(0, request.elapsedSeconds ?? 0))))
            self.seconds = seconds
        }
    }

    private struct Place {
        let ticket: Ticket
        var deadline: Deadline?
    }

    /// Requests that may be prepared at once.
    static var limit: Int { 256 }

    private var places: [RequestID: Place] = [:]
    /// Places that are taken, those of cancelled requests included.
    private(set) var count = 0

    /// Takes a place; nil when there is none.
    mutating func begin(_ id: RequestID) -> Ticket? {
        guard count < Self.limit else { return nil }
        let ticket = Ticket()
        places[id] = Place(ticket: ticket)
        count += 1
        return ticket
    }

    /// Nobody waits for the request any more; false when it is not being prepared.
    mutating func cancel(_ id: RequestID) -> Bool {
        guard let place = places.removeValue(forKey: id) else { return false }
        place.ticket.cancel()
        return true
    }

    /// The request was read and has a deadline; without effect when nobody waits for it any more.
    mutating func note(_ deadline: Deadline, of id: RequestID, _ ticket: Ticket) {
        if places[id]?.ticket === ticket { places[id]?.deadline = deadline }
    }

    /// When the next request's time is up; nil while none has a deadline.
    var nextDeadline: Instant? { places.values.lazy.compactMap { $0.deadline?.at }.min() }

    /// The requests whose time is up, and how much their clients gave them; nobody waits for them any more.
    mutating func expire(now: Instant) -> [(id: RequestID, seconds: Double)] {
        let expired = places.keys.sorted().compactMap { id -> (id: RequestID, seconds: Double)? in
            guard let deadline = places[id]?.deadline, now >= deadline.at else { return nil }
            return (id, deadline.seconds)
        }
        for (id, _) in expired { _ = cancel(id) }
        return expired
    }

    /// Gives the place back that `ticket` stands for; false when nobody waits for the outcome. The request may be on
    /// its way a second time under the same id by then.
    mutating func end(_ id: RequestID, _ ticket: Ticket) -> Bool {
        count -= 1
        guard places[id]?.ticket === ticket else { return false }
        places[id] = nil
        return true
    }
}
