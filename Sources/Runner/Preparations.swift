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

    /// Requests that may be prepared at once.
    static var limit: Int { 256 }

    private var tickets: [RequestID: Ticket] = [:]
    /// Places that are taken, those of cancelled requests included.
    private(set) var count = 0

    /// Takes a place; nil when there is none.
    mutating func begin(_ id: RequestID) -> Ticket? {
        guard count < Self.limit else { return nil }
        let ticket = Ticket()
        tickets[id] = ticket
        count += 1
        return ticket
    }

    /// Nobody waits for the request any more; false when it is not being prepared.
    mutating func cancel(_ id: RequestID) -> Bool {
        guard let ticket = tickets.removeValue(forKey: id) else { return false }
        ticket.cancel()
        return true
    }

    /// Gives the place back that `ticket` stands for; false when nobody waits for the outcome. The request may be on
    /// its way a second time under the same id by then.
    mutating func end(_ id: RequestID, _ ticket: Ticket) -> Bool {
        count -= 1
        guard tickets[id] === ticket else { return false }
        tickets[id] = nil
        return true
    }
}
