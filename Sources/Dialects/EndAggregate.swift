package import Vocabulary

/// Waits for the end of a request of which only the end matters: counting, loading.
package struct EndAggregate: AnswerAggregate {
    private let body: @Sendable (Completion) -> [UInt8]
    private var end: GenerationEvent?

    /// Begins to wait; `body` is made when the request has come to its end, and not when it failed.
    package init(body: @escaping @Sendable (Completion) -> [UInt8]) { self.body = body }

    /// Takes an event in; what comes after a terminal event is ignored.
    package mutating func absorb(_ event: GenerationEvent) {
        if end == nil, event.isTerminal { end = event }
    }

    /// The body, once the request is over.
    package func outcome() -> AggregateOutcome {
        switch end {
        case .finished(let completion): .complete(body: body(completion))
        case .failed(let error): .failed(error)
        case .preparing, .queued, .started, .output, nil: .pending
        }
    }
}
