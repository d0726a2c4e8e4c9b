import NIOCore
import ServiceLifecycle
import Synchronization
import Vocabulary

/// The beginning of an answer, read by somebody else while its route waits.
final class OpeningEvents: Sendable {
    private struct State {
        var events: [GenerationEvent] = []
        var isDecided = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// Reads until it is decided what the answer is.
    func read(_ events: AsyncStream<GenerationEvent>) async {
        for await event in events {
            state.withLock { $0.events.append(event) }
            // `started` says only that a lane was found; the first output (or the end) decides.
            if case .started = event { continue }
            break
        }
        let waiter = state.withLock { state in
            state.isDecided = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Waits until it is decided, or until the task that waits is cancelled. One at a time.
    func decided() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let goesOn = state.withLock { state in
                    if state.isDecided || Task.isCancelled { return true }
                    state.waiter = continuation
                    return false
                }
                if goesOn { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume()
        }
    }

    /// What was read and not taken before, and whether it is decided.
    func take() -> (events: [GenerationEvent], isDecided: Bool) {
        state.withLock { state in
            defer { state.events = [] }
            return (state.events, state.isDecided)
        }
    }
}

/// Reads the beginnings of answers, so that a route can stop waiting for one without ending it.
///
/// A route decides the status of a stream by the answer's first event: an error that could be known is never a 200. But
/// a long prompt takes minutes before its first token, and a client that hears nothing goes away. So after a while the
/// stream is opened all the same, and an error comes as an event.
final class WaitingRoom: Service {
    private let patience: Duration
    private let jobs: AsyncStream<@Sendable () async -> Void>
    private let submit: AsyncStream<@Sendable () async -> Void>.Continuation

    init(patience: TimeAmount) {
        self.patience = .nanoseconds(patience.nanoseconds)
        (jobs, submit) = AsyncStream.makeStream(of: (@Sendable () async -> Void).self)
    }

    func run() async throws {
        await withGracefulShutdownHandler {
            await withDiscardingTaskGroup { group in
                for await job in jobs { group.addTask { await job() } }
            }
        } onGracefulShutdown: {
            // Routes read for themselves from now on.
            self.submit.finish()
        }
    }

    /// The beginning of an answer, decided or not.
    func opening(of events: AsyncStream<GenerationEvent>) async -> OpeningEvents {
        let opening = OpeningEvents()
        guard case .enqueued = submit.yield({ await opening.read(events) }) else {
            await opening.read(events)
            return opening
        }
        let patience = patience
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await opening.decided() }
            group.addTask { try? await Task.sleep(for: patience) }
            await group.next()
            group.cancelAll()
        }
        return opening
    }
}
