import Serving
import Synchronization
import Vocabulary

/// Requests that are being templated and tokenised, or wait for it. A place is taken until the thread is done with it,
/// so that clients who come and go cannot make a line of work that nobody waits for. One caller leaves places to others
/// as in the waiting line (`FairOrder`).
struct Preparations {
    /// One request's way through the threads; what it stands for may be over before its turn comes.
    final class Ticket: Sendable {
        /// Whose request it is; nil for those who cannot be told apart.
        let caller: String?
        private let cancelled = Atomic(false)

        fileprivate init(of caller: String?) { self.caller = caller }

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
    /// The same by caller.
    private var held: [String?: Int] = [:]

    /// Takes a place. Fails with `overloaded` when there is none, or when the caller has its share of them; it is told
    /// to come back after `retryAfterSeconds`.
    mutating func begin(
        _ id: RequestID, of caller: String?, retryAfterSeconds: Int
    ) -> Result<Ticket, GenerationError> {
        let own = held[caller, default: 0]
        let isFull = count >= Self.limit
        guard !isFull, own < FairOrder.places(of: caller, taken: count, limit: Self.limit) else {
            return .failure(
                .overloaded(
                    queued: isFull ? count : own, limit: isFull ? Self.limit : own,
                    retryAfterSeconds: retryAfterSeconds))
        }
        let ticket = Ticket(of: caller)
        places[id] = Place(ticket: ticket)
        count += 1
        held[caller] = own + 1
        return .success(ticket)
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
        let own = held[ticket.caller, default: 1] - 1
        held[ticket.caller] = own > 0 ? own : nil
        guard places[id]?.ticket === ticket else { return false }
        places[id] = nil
        return true
    }
}
