import Gateway
import Synchronization
import Vocabulary

/// A node that answers by a script and remembers what it was asked.
final class ScriptedNode: Generating {
    private let script: @Sendable (GenerationRequest) -> [GenerationEvent]
    private let served: [ServedModel]
    private let asked = Mutex<[GenerationRequest]>([])
    private let ids = Atomic<UInt64>(0x10)
    private let end: AsyncStream<Bool>.Continuation
    /// One element for every answer whose stream is over; true when its reader went away.
    let ends: AsyncStream<Bool>

    init(
        models: [ServedModel] = [.named("tiny")], script: @escaping @Sendable (GenerationRequest) -> [GenerationEvent]
    ) {
        self.script = script
        served = models
        (ends, end) = AsyncStream.makeStream(of: Bool.self)
    }

    /// The requests so far.
    var requests: [GenerationRequest] { asked.withLock { $0 } }

    func generate(_ request: GenerationRequest) async -> GenerationStream {
        asked.withLock { $0.append(request) }
        let (stream, continuation) = AsyncStream.makeStream(of: GenerationEvent.self)
        continuation.onTermination = { [end] reason in
            if case .cancelled = reason { end.yield(true) } else { end.yield(false) }
        }
        let events = script(request)
        if events == .endless { return flow() }
        for event in events { continuation.yield(event) }
        // A script without an end is an answer that goes on for ever.
        if events.last?.isTerminal ?? false { continuation.finish() } else { hold(continuation) }
        return GenerationStream(events: stream) { [end] in
            end.yield(true)
            continuation.finish()
        }
    }

    /// An answer that goes on as long as somebody reads it.
    private func flow() -> GenerationStream {
        let reader = Reader(end)
        let events = AsyncStream(unfolding: { reader.next() }, onCancel: { reader.leave() })
        return GenerationStream(events: events) { reader.leave() }
    }

    /// Stands for an endless answer's stream: when nobody holds it any more, its reader is gone.
    private final class Reader: Sendable {
        private let end: AsyncStream<Bool>.Continuation
        private let count = Atomic<Int>(0)

        init(_ end: AsyncStream<Bool>.Continuation) { self.end = end }

        deinit { leave() }

        func next() -> GenerationEvent {
            let isFirst = count.add(1, ordering: .relaxed).oldValue == 0
            return isFirst ? .started(promptTokens: 9, cachedTokens: 0) : .text("again ")
        }

        func leave() { end.yield(true) }
    }

    private let held = Mutex<[AsyncStream<GenerationEvent>.Continuation]>([])

    private func hold(_ continuation: AsyncStream<GenerationEvent>.Continuation) {
        held.withLock { $0.append(continuation) }
    }

    func models() async -> [ServedModel] { served }

    /// Scripts answer for any name.
    func resolved(_ model: String, mayDeploy: Bool) async throws(GenerationError) -> String {
        (try? served.resolve(model).card.id) ?? model
    }

    func nextRequestID() -> RequestID { RequestID(ids.add(1, ordering: .relaxed).newValue) }

    func metrics() async -> [MetricSample] {
        [
            MetricSample(name: "skein_lanes_in_use", help: "Lanes.", kind: .gauge, value: 2),
            MetricSample(name: "skein_requests_total", help: "Requests.", kind: .counter, value: 7),
        ]
    }
}

extension ServedModel {
    static func named(_ name: String, _ state: State = .ready) -> ServedModel {
        ServedModel(
            card: ModelCard(
                id: name, architecture: "qwen3", layerCount: 8, width: 256, trainedContext: 2048, servedContext: 1024,
                vocabularySize: 4096, parameterCount: 7_345_408, weightBytes: ByteCount(7_961_088),
                digest: String(repeating: "ab", count: 32)), state: state, created: 1_700_000_000)
    }
}

extension [GenerationEvent] {
    /// Stands for an answer that goes on as long as somebody reads it.
    static var endless: [GenerationEvent] { [.text("again "), .text("and again")] }

    /// A complete answer in two pieces.
    static var hello: [GenerationEvent] {
        [.started(promptTokens: 9, cachedTokens: 0), .text("Hel"), .text("lo 👋"), .end]
    }
}

extension GenerationEvent {
    static func text(_ text: String) -> GenerationEvent { .output(OutputDelta(text: text)) }

    static var end: GenerationEvent {
        .finished(
            Completion(
                finishReasons: [.stop], stopTexts: [nil], usage: Usage(promptTokens: 9, outputTokens: 3),
                timings: Timings(queueSeconds: 0, prefillSeconds: 0.01, decodeSeconds: 0.02)))
    }
}
