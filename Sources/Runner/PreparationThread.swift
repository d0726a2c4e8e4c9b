import NIOPosix
import Synchronization
import Vocabulary

/// A thread that reads or prepares requests, whose callers take turns.
///
/// **Isolation:** any thread may submit. The thread takes what is next out of the line by itself, so it never waits for
/// an event loop that computes a step.
final class PreparationThread: Sendable {
    private struct Job: Sendable {
        let ticket: Preparations.Ticket
        let work: @Sendable () -> Void
    }

    private let pool = NIOThreadPool(numberOfThreads: 1)
    private let line = Mutex(PreparationLine<Job>())

    init() { pool.start() }

    /// When all that is there now is expected to be done: whole seconds for a `Retry-After`.
    var retryAfterSeconds: Int { line.withLock { $0.retryAfterSeconds } }

    /// Runs `work` when it is the turn of the ticket's caller, also when nobody wants it any more.
    func submit(_ ticket: Preparations.Ticket, _ work: @escaping @Sendable () -> Void) {
        line.withLock { $0.append(Job(ticket: ticket, work: work), of: ticket.caller) }
        // The pool is given as many turns as there is work; whose turn it is then, the line knows.
        pool.submit { [self] state in
            guard case .active = state, let job = line.withLock({ $0.next() }) else { return }
            let isWanted = !job.ticket.isCancelled
            let stopwatch = Stopwatch.started()
            job.work()
            let took = isWanted ? stopwatch() : nil
            line.withLock { $0.finish(took: took) }
        }
    }
}
