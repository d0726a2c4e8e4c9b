import Gateway
import Synchronization
import Vocabulary

/// A node whose answers go on when the test says so.
final class SteppedNode: Generating {
    private struct State {
        var requests: [GenerationRequest] = []
        var answers: [AsyncStream<GenerationEvent>.Continuation] = []
    }

    private let state = Mutex(State())
    private let ids = Atomic<UInt64>(0x10)
    private let begin: AsyncStream<Int>.Continuation
    private let stop: AsyncStream<Int>.Continuation
    /// The number of each answer that is asked for.
    let begins: AsyncStream<Int>
    /// The number of each answer that is cancelled.
    let stops: AsyncStream<Int>

    init() {
        (begins, begin) = AsyncStream.makeStream(of: Int.self)
        (stops, stop) = AsyncStream.makeStream(of: Int.self)
    }

    var requests: [GenerationRequest] { state.withLock { $0.requests } }

    func generate(_ request: GenerationRequest) async -> GenerationStream {
        let (stream, continuation) = AsyncStream.makeStream(of: GenerationEvent.self)
        let number = state.withLock { state in
            state.requests.append(request)
            state.answers.append(continuation)
            return state.answers.count - 1
        }
        begin.yield(number)
        return GenerationStream(events: stream) { [stop] in
            stop.yield(number)
            continuation.yield(.failed(.cancelled))
            continuation.finish()
        }
    }

    /// Lets an answer go on.
    func send(_ events: [GenerationEvent], to number: Int = 0) {
        state.withLock { state in
            for event in events { state.answers[number].yield(event) }
            if events.last?.isTerminal == true { state.answers[number].finish() }
        }
    }

    func models() async -> [ServedModel] { [.named("tiny")] }

    func nextRequestID() -> RequestID { RequestID(ids.add(1, ordering: .relaxed).newValue) }

    func metrics() async -> [MetricSample] { [] }
}

extension AsyncStream where Element: Sendable {
    /// The next element; the stream MUST have one.
    func next() async throws -> Element {
        for await element in self { return element }
        throw CancellationError()
    }
}
