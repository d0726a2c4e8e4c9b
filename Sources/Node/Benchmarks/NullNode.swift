import Gateway
import Synchronization
import Vocabulary

/// A node without a model: every answer is there at once, as long as the request allows. What a request costs is then
/// what the gateway costs.
final class NullNode: Generating {
    /// What every token of an answer says.
    static let piece = " token"
    /// Tokens of an answer whose request names no limit.
    private static let defaultTokens = 16
    /// The one model it serves.
    static let model = "null"

    private let nextID = Atomic<UInt64>(1)
    private let holdsAnswers: Bool
    /// Requests that have had their first token and wait for `release`.
    private let held = Mutex<[AsyncStream<GenerationEvent>.Continuation]>([])

    /// A node; one that holds answers gives the first token of each, and the rest only when it is told to.
    init(holdsAnswers: Bool = false) { self.holdsAnswers = holdsAnswers }

    func nextRequestID() -> RequestID { RequestID(nextID.add(1, ordering: .relaxed).newValue) }

    func generate(_ request: GenerationRequest) async -> GenerationStream {
        let (events, sink) = AsyncStream.makeStream(of: GenerationEvent.self)
        let count = request.maxOutputTokens ?? Self.defaultTokens
        sink.yield(.started(promptTokens: 1, cachedTokens: 0))
        let output = GenerationEvent.output(OutputDelta(text: Self.piece))
        if holdsAnswers {
            sink.yield(output)
            held.withLock { $0.append(sink) }
        } else {
            for _ in 0..<count { sink.yield(output) }
            Self.end(sink, count)
        }
        return GenerationStream(events: events) { sink.finish() }
    }

    /// Ends the answers that are held, each with a second token.
    func release() {
        let sinks = held.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
        for sink in sinks {
            sink.yield(.output(OutputDelta(text: Self.piece)))
            Self.end(sink, 2)
        }
    }

    private static func end(_ sink: AsyncStream<GenerationEvent>.Continuation, _ count: Int) {
        sink.yield(
            .finished(
                Completion(
                    finishReasons: [.length], stopTexts: [nil], usage: Usage(promptTokens: 1, outputTokens: count),
                    timings: Timings(queueSeconds: 0, prefillSeconds: 0, decodeSeconds: 0))))
        sink.finish()
    }

    func models() async -> [ServedModel] {
        let card = ModelCard(
            id: Self.model, architecture: "null", layerCount: 1, width: 1, trainedContext: 1 << 20,
            servedContext: 1 << 20, vocabularySize: 1, parameterCount: 1, weightBytes: ByteCount(1),
            digest: String(repeating: "0", count: 64))
        return [ServedModel(card: card, state: .ready, created: 0)]
    }

    func metrics() async -> [MetricSample] { [] }
}
