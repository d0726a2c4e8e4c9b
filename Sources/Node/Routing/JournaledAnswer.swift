import Gateway
import Synchronization
import Vocabulary

/// An answer that goes on when the placement that makes it is lost.
///
/// It keeps the request and the tokens told so far. When a stage is lost, the request is sent again, to whatever serves
/// the deployment then, with these tokens: the new placement computes them as part of the prompt and goes on behind
/// them, so the client sees a pause and not an error. A seeded request goes on with the same randomness, because that
/// depends on the seed and the position alone.
///
/// **Isolation:** an actor; one reader pulls, and only the link in use is asked for more.
actor JournaledAnswer {
    /// Placements one answer may lose before its client is told.
    private static let lossLimit = 8
    /// ... and one after the other without a token: it may be the request that they do not survive.
    private static let barrenLossLimit = 2

    private var request: GenerationRequest
    private let connect: Connect
    private let start: Journey
    private let arrival: Arrival
    private var journey: Journey?
    private nonisolated let current = Mutex<Current>(Current())
    private var events: AsyncStream<GenerationEvent>.Iterator?
    private var losses = 0
    /// Since the latest token.
    private var barrenLosses = 0
    private var hasStarted = false
    private var isOver = false

    private struct Current {
        var link: ControlLink?
        var isCancelled = false
    }

    /// Takes the next step on the way to what serves a request, and waits for it where it has to, as long as the
    /// request is wanted.
    typealias Connect =
        @Sendable (
            _ journey: inout Journey, _ isWanted: @escaping @Sendable () -> Bool
        ) async throws(GenerationError) -> RouteStep

    /// Answers `request`; every search for what serves it begins as `start`.
    init(_ request: GenerationRequest, _ start: Journey, connect: @escaping Connect) {
        id = request.id
        self.request = request
        self.request.keepsJournal = true
        self.request.residency = nil
        let arrival = Arrival(of: request)
        self.arrival = arrival
        var start = start
        start.end = arrival.end
        self.start = start
        self.connect = connect
    }

    /// Ends the answer early, from any thread.
    nonisolated func cancel() {
        let link = current.withLock { current in
            current.isCancelled = true
            return current.link
        }
        link?.cancelEarly(id)
    }

    /// Identity of the request.
    nonisolated let id: RequestID

    /// The next event; nil behind the one that ends the answer.
    func next() async -> GenerationEvent? {
        while !isOver {
            guard var reader = events else {
                switch await begin() {
                case .failure(let failure): return end(.failed(failure))
                case .success(.some(let phrase)): return .preparing(phrase)
                case .success(nil): continue
                }
            }
            events = nil
            let event = await reader.next(isolation: self)
            events = reader
            switch event {
            case .failed(.stageLost(let stage, let reason)):
                losses += 1
                barrenLosses += 1
                events = nil
                guard losses <= Self.lossLimit, barrenLosses <= Self.barrenLossLimit, !isCancelled else {
                    return end(.failed(.stageLost(stage: stage, reason: reason)))
                }
            case .output(var delta):
                note(delta)
                barrenLosses = 0
                delta.journal = []
                return .output(delta)
            case .started:
                // The client was told when the answer began.
                guard !hasStarted else { continue }
                hasStarted = true
                return event
            case .queued, .preparing:
                guard !hasStarted else { continue }
                return event
            case .finished, .failed: return end(event)
            case nil: return end(.failed(.cancelled))
            }
        }
        return nil
    }

    private nonisolated var isCancelled: Bool { current.withLock { $0.isCancelled } }

    private func end(_ event: GenerationEvent?) -> GenerationEvent? {
        isOver = true
        events = nil
        return event
    }

    /// Sends the request on its way; a phrase while it has to wait, or why that was not possible.
    private func begin() async -> Result<String?, GenerationError> {
        var journey = journey ?? start.anew
        do throws(GenerationError) {
            let link: ControlLink
            switch try await connect(&journey, { !self.isCancelled && self.arrival.overdue == nil }) {
            case .preparing(let phrase):
                self.journey = journey
                return .success(phrase)
            case .arrived(let found): link = found
            }
            self.journey = nil
            let isWanted = current.withLock { current in
                current.link = link
                return !current.isCancelled
            }
            guard isWanted else { return .failure(.cancelled) }
            request.elapsedSeconds = arrival.elapsedSeconds
            events = await link.generate(request).makeAsyncIterator()
            return .success(nil)
        } catch {
            return .failure(isCancelled ? error : arrival.overdue ?? error)
        }
    }

    /// Takes down what was told; a choice that says nothing has nothing to be repeated.
    private func note(_ delta: OutputDelta) {
        guard !delta.journal.isEmpty else { return }
        if request.answered.isEmpty { request.answered = Array(repeating: [], count: request.choiceCount) }
        guard request.answered.indices.contains(delta.choice) else { return }
        request.answered[delta.choice] += delta.journal
    }
}
