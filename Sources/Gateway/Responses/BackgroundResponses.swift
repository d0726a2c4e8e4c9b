import Dialects
import FoundationEssentials
import Logging
import ServiceLifecycle
import Vocabulary

/// Makes the responses that go on when their client leaves, and keeps their events for clients that come back.
///
/// A response lives here from the request until its events are no longer kept; its record is in the store all the time.
actor BackgroundResponses: Service {
    /// A response that is being made, or whose events are still kept.
    private struct Live {
        var answer: Responses.Answer
        let record: Responses.Record
        /// What it costs, what of it is not as was demanded, and who is told both at its end.
        var meter = UsageMeter()
        var review: AnswerReview?
        let settle: Settlement
        /// nil when they became too many.
        var events: [Responses.StreamEvent]? = []
        var eventBytes = 0
        var watchers: [BoundedSink<Responses.StreamEvent>] = []
        var stop: (@Sendable () -> Void)?
        var isWorkedOn = true

        var current: Responses.Record {
            var record = record
            record.body = answer.body()
            return record
        }
    }

    /// Is told what a response cost, and what of it is not as was demanded.
    typealias Settlement = @Sendable (UsageMeter, _ findings: [String]) -> Void

    private let backend: any Generating
    private let store: any ResponseStoring
    private let logger: Logger
    private var live: [String: Live] = [:]
    /// Identities of those that are over, oldest first.
    private var finished: [String] = []
    private let jobs: AsyncStream<Responses.Request>
    private let submit: AsyncStream<Responses.Request>.Continuation
    private var identities: [RequestID: String] = [:]

    init(backend: any Generating, store: any ResponseStoring, logger: Logger) {
        self.backend = backend
        self.store = store
        self.logger = logger
        (jobs, submit) = AsyncStream.makeStream(
            of: Responses.Request.self, bufferingPolicy: .bufferingOldest(Limits.backgroundResponses))
    }

    /// Works until the shutdown; what is being made then ends with the node's own answers.
    func run() async throws {
        await withDiscardingTaskGroup { group in
            for await request in jobs.cancelOnGracefulShutdown() {
                group.addTask { await self.make(request) }
            }
        }
    }

    // MARK: From requests

    /// Takes a response on and returns its record; `settle` is called when it is over.
    ///
    /// **Throws:** `StateError.tooManyInBackground`, or what keeps the store from keeping it.
    func begin(
        _ request: Responses.Request, id: String, created: Int64, settle: @escaping Settlement
    ) async throws(Responses.StateError) -> Responses.Record {
        guard live.values.count(where: \.isWorkedOn) < Limits.backgroundResponses else {
            throw .tooManyInBackground(limit: Limits.backgroundResponses)
        }
        let answer = Responses.Answer(id: id, created: created, request: request, emits: true)
        let record = Responses.Record(
            id: id, previousID: request.previousID, created: created, input: request.inputItems, body: answer.body())
        // The place is taken before the store is asked, so that requests at the same time cannot share it.
        live[id] = Live(
            answer: answer, record: record, review: AnswerReview(request.generation), settle: settle)
        identities[request.generation.id] = id
        do {
            try await store.save(record)
        } catch {
            live[id] = nil
            identities[request.generation.id] = nil
            throw error.report
        }
        change(id) { $0.announce(into: &$1) }
        submit.yield(request)
        return record
    }

    /// The record as it stands; nil when the response is not here.
    func record(id: String) -> Responses.Record? { live[id]?.current }

    /// Ends a response early and returns its record; nil when it is not here.
    func cancel(id: String) async -> Responses.Record? {
        guard let stop = live[id] else { return nil }
        stop.stop?()
        let now = Self.now
        change(id) { answer, _ in answer.cancel(at: now) }
        await close(id)
        return live[id]?.current
    }

    /// Ends a response and forgets it; its record is the store's.
    func forget(id: String) {
        guard let gone = live.removeValue(forKey: id) else { return }
        gone.stop?()
        if gone.isWorkedOn { gone.settle(gone.meter, []) }
        for watcher in gone.watchers { watcher.finish() }
        finished.removeAll { $0 == id }
    }

    /// The events behind `number`, those kept and those to come; nil when they are not kept. They end early for a
    /// client that falls behind by as much as is kept of a response.
    func events(id: String, after number: Int?) -> AsyncStream<Responses.StreamEvent>? {
        guard let kept = live[id]?.events else { return nil }
        let (stream, sink) = BoundedSink<Responses.StreamEvent>.makeStream(limit: Limits.eventLogBytes)
        // The numbers count from 0, one for each event; a client may name any, the largest there is among them.
        let seen = number.map { $0 < kept.count ? $0 + 1 : kept.count } ?? 0
        for event in kept.dropFirst(seen) { _ = sink.yield(event, bytes: event.json.count) }
        // The last event is told after the response has been kept, when nobody works on it any more.
        if finished.contains(id) { sink.finish() } else { live[id]?.watchers.append(sink) }
        return stream
    }

    // MARK: Making

    private func make(_ request: Responses.Request) async {
        guard let id = identities.removeValue(forKey: request.generation.id),
            live[id]?.isWorkedOn == true
        else { return }
        let generation = await backend.start(request) { stop in
            if live[id]?.isWorkedOn == true { live[id]?.stop = stop } else { stop() }
        }
        for event in generation.held { take(event, id) }
        for await event in generation.stream.events { take(event, id) }
        if live[id]?.answer.status.isOver == false {
            take(
                .failed(
                    .modelNotReady(
                        name: request.generation.model, reason: "the node is stopping", retryAfterSeconds: 10)), id)
        }
        await close(id)
    }

    private func take(_ event: GenerationEvent, _ id: String) {
        let now = Self.now
        live[id]?.meter.absorb(event)
        live[id]?.review?.absorb(event)
        change(id) { $0.absorb(event, at: now, into: &$1) }
    }

    /// Lets the answer change and passes on what it says.
    private func change(_ id: String, _ body: (inout Responses.Answer, inout [Responses.StreamEvent]) -> Void) {
        guard var entry = live.removeValue(forKey: id) else { return }
        var new: [Responses.StreamEvent] = []
        body(&entry.answer, &new)
        for event in new {
            entry.eventBytes += event.json.count
            entry.watchers.removeAll { watcher in
                if watcher.yield(event, bytes: event.json.count) { return false }
                watcher.abandon()
                return true
            }
        }
        if entry.eventBytes > Limits.eventLogBytes {
            entry.events = nil
        } else {
            entry.events?.append(contentsOf: new)
        }
        live[id] = entry
    }

    /// Keeps a response that is over and tells its end; without effect the second time.
    private func close(_ id: String) async {
        guard live[id]?.isWorkedOn == true, let answer = live[id]?.answer, answer.status.isOver else { return }
        live[id]?.isWorkedOn = false
        live[id]?.stop = nil
        if let over = live[id] { over.settle(over.meter, over.review?.findings ?? []) }
        if let record = live[id]?.current {
            do {
                try await store.save(record)
            } catch {
                logger.error("a response could not be kept", metadata: ["error": "\(error)", "response.id": "\(id)"])
                live[id]?.answer.isStored = false
            }
        }
        guard live[id] != nil else {
            // It was deleted while it was being saved.
            _ = try? await store.delete(id: id)
            return
        }
        change(id) { $0.conclude(into: &$1) }
        for watcher in live[id]?.watchers ?? [] { watcher.finish() }
        live[id]?.watchers = []
        finished.append(id)
        evict()
    }

    private func evict() {
        var bytes = finished.reduce(0) { $0 + (live[$1]?.eventBytes ?? 0) }
        while finished.count > Limits.finishedEventLogs || (bytes > Limits.eventLogBytes && finished.count > 1) {
            let oldest = finished.removeFirst()
            bytes -= live.removeValue(forKey: oldest)?.eventBytes ?? 0
        }
    }

    private static var now: Int64 { Int64(Date().timeIntervalSince1970) }
}

extension Generating {
    /// Starts a response's request and waits for its first event; `began` gets what ends it meanwhile. With
    /// `truncation: auto` a conversation that is too long is shortened and tried again.
    func start(
        _ request: Responses.Request, began: (@escaping @Sendable () -> Void) -> Void
    ) async -> (stream: GenerationStream, held: [GenerationEvent]) {
        var request = request
        for _ in 0..<Limits.shortenings {
            let stream = await generate(request.generation)
            began(stream.cancel)
            var iterator = stream.events.makeAsyncIterator()
            guard let first = await iterator.next() else { return (stream, []) }
            guard request.truncates, case .failed(.contextLengthExceeded(let prompt, let output, let window)) = first
            else { return (stream, [first]) }
            // Few answers are as long as they may be, and many clients allow more than the window holds: to make room
            // for all of that would drop a conversation that fits.
            let excess = max(1, prompt - window + min(output, window / 4))
            guard request.shorten(excess: excess, of: max(1, prompt), id: nextRequestID()) else {
                return (stream, [first])
            }
        }
        let stream = await generate(request.generation)
        began(stream.cancel)
        return (stream, [])
    }
}
