import NIOCore
import NIOPosix
import Serving
import Synchronization
import Vocabulary

/// The draft model of an entry stage and the thread it computes on. The brain gives one piece of work at a time.
protocol Drafting: Sendable {
    /// Queues work; the completion is called on `eventLoop`.
    func submit(
        _ work: DraftWork, on eventLoop: any EventLoop, _ completion: @escaping @Sendable (DraftOutcome) -> Void)
}

/// What became of a piece of work.
typealias DraftOutcome = Result<[DraftedLane], EngineError>

/// The room of any engine.
final class DraftRoom<Engine: StageEngine & ~Copyable>: Drafting {
    private let thread = NIOThreadPool(numberOfThreads: 1)
    private let model: Mutex<DraftModel<Engine>>

    init(_ engine: consuming sending Engine) {
        model = Mutex(DraftModel(engine))
        thread.start()
    }

    func submit(
        _ work: DraftWork, on eventLoop: any EventLoop, _ completion: @escaping @Sendable (DraftOutcome) -> Void
    ) {
        thread.submit { [self] state in
            guard case .active = state else { return }
            let outcome = model.withLock { model in
                do throws(EngineError) {
                    return DraftOutcome.success(try model.run(work))
                } catch {
                    return DraftOutcome.failure(error)
                }
            }
            eventLoop.execute { completion(outcome) }
        }
    }
}

/// A draft model that is loaded and timed.
struct LoadedDraft: Sendable {
    let room: any Drafting
    let facts: DraftFacts
}
