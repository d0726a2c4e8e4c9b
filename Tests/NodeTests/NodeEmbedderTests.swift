import Gateway
import Synchronization
import Testing
import Vocabulary

@testable import Node

/// Makes vectors (tokens, 3, 4) of texts as soon as it is asked, or never.
private final class VectorNode: Generating {
    private struct State {
        var asked: [GenerationRequest] = []
        var underWay = 0
        var most = 0
        var cancelled = 0
        var kept: [KeepAlive] = []
    }

    private let state = Mutex(State())
    private let nextID = Atomic<UInt64>(100)
    private let answers: Bool
    private let refusal: GenerationError?

    init(answers: Bool = true, refusal: GenerationError? = nil) {
        self.answers = answers
        self.refusal = refusal
    }

    var asked: [GenerationRequest] { state.withLock { $0.asked } }
    var most: Int { state.withLock { $0.most } }
    var cancelled: Int { state.withLock { $0.cancelled } }

    var kept: [KeepAlive] { state.withLock { $0.kept } }

    func keep(_ model: String, for time: KeepAlive) async { state.withLock { $0.kept.append(time) } }
    func nextRequestID() -> RequestID { RequestID(nextID.add(1, ordering: .relaxed).newValue) }
    func models() async -> [ServedModel] { [] }
    func metrics() async -> [MetricSample] { [] }

    func generate(_ request: GenerationRequest) async -> GenerationStream {
        state.withLock { state in
            state.asked.append(request)
            state.underWay += 1
            state.most = max(state.most, state.underWay)
        }
        let (events, continuation) = AsyncStream.makeStream(of: GenerationEvent.self)
        if answers {
            let count =
                switch request.prompt {
                case .tokens(let tokens): tokens.count
                case .text(let text): text.utf8.count
                case .chat: 0
                }
            continuation.yield(.queued(position: 1, predictedWaitSeconds: nil))
            if let refusal, count == 13 {
                continuation.yield(.failed(refusal))
            } else {
                continuation.yield(.started(promptTokens: count, cachedTokens: 0))
                var delta = OutputDelta()
                delta.vector = [Float(count), 3, 4]
                continuation.yield(.output(delta))
                continuation.yield(
                    .finished(
                        Completion(
                            finishReasons: [.stop], stopTexts: [nil],
                            usage: Usage(promptTokens: count, outputTokens: 0),
                            timings: Timings(queueSeconds: 0, prefillSeconds: 0, decodeSeconds: 0))))
            }
            continuation.finish()
            state.withLock { $0.underWay -= 1 }
        }
        return GenerationStream(events: events) { [self] in
            state.withLock { $0.cancelled += 1 }
            continuation.yield(.failed(.cancelled))
            continuation.finish()
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct `Embedding by the node` {
    @Test func `every text may deploy the model, and the last one says how long it stays`() async throws {
        let node = VectorNode()
        var request = EmbeddingRequest(
            id: RequestID(1), model: "tiny", inputs: (0..<9).map { .text(String(repeating: "x", count: $0 + 1)) })
        _ = try await NodeEmbedder(backend: node).embed(request)
        #expect(node.asked.allSatisfy { $0.residency == nil } && node.kept.isEmpty)
        request.residency = Residency(mayDeploy: true, keepAlive: .unload)
        _ = try await NodeEmbedder(backend: node).embed(request)
        #expect(node.asked.suffix(9).allSatisfy { $0.residency == Residency(mayDeploy: true) })
        // Unloading is one wish behind all texts, not one behind each.
        #expect(node.kept == [.unload])
    }

    @Test func `every input becomes a vector of length 1 in its place, each by a request of its own`() async throws {
        let node = VectorNode()
        let inputs = (0..<40).map { index -> EmbeddingRequest.Input in
            index % 2 == 0
                ? .tokens([Token](repeating: 1, count: index)) : .text(String(repeating: "x", count: index))
        }
        let request = EmbeddingRequest(id: RequestID(1), model: "tiny", inputs: inputs, truncates: true)
        let answer = try await NodeEmbedder(backend: node).embed(request)
        #expect(answer.promptTokens == 40 * 39 / 2)
        for (index, vector) in answer.vectors.enumerated() {
            let length = Double(index * index + 25).squareRoot()
            #expect(vector == [Float(Double(index) / length), Float(3 / length), Float(4 / length)])
        }
        let asked = node.asked
        #expect(Set(asked.map(\.id)).count == 40 && asked.allSatisfy { $0.model == "tiny" })
        #expect(asked.allSatisfy { $0.embedding == EmbeddingWish(truncates: true) })
        #expect(node.most <= NodeEmbedder.textsAtOnce)
        let single = EmbeddingRequest(id: RequestID(7), model: "tiny", inputs: [.text("x")])
        _ = try await NodeEmbedder(backend: node).embed(single)
        #expect(node.asked.last?.id == RequestID(7))
    }

    @Test func `more dimensions than there are, and one bad text, end the whole request early with the numbers`()
        async throws
    {
        let inputs = (0..<200).map { EmbeddingRequest.Input.text(String(repeating: "x", count: $0 + 1)) }
        var request = EmbeddingRequest(id: RequestID(1), model: "tiny", inputs: inputs, dimensions: 4)
        let node = VectorNode()
        await #expect(
            throws: GenerationError.invalidField(
                name: "dimensions", value: "4", limit: "the model's vectors have 3 numbers")
        ) { try await NodeEmbedder(backend: node).embed(request) }
        #expect(node.asked.count <= 2 * NodeEmbedder.textsAtOnce)
        request.dimensions = 3
        let refusal = GenerationError.contextLengthExceeded(promptTokens: 13, outputTokens: 0, window: 12)
        let strict = VectorNode(refusal: refusal)
        await #expect(throws: refusal) { try await NodeEmbedder(backend: strict).embed(request) }
        #expect(strict.asked.count < 13 + 2 * NodeEmbedder.textsAtOnce)
    }

    @Test func `a client that leaves takes all its texts along`() async throws {
        let node = VectorNode(answers: false)
        let request = EmbeddingRequest(
            id: RequestID(1), model: "tiny", inputs: [EmbeddingRequest.Input](repeating: .text("x"), count: 9))
        try await withThrowingTaskGroup(of: GenerationError?.self) { group in
            group.addTask {
                do throws(GenerationError) {
                    _ = try await NodeEmbedder(backend: node).embed(request)
                    return nil
                } catch {
                    return error
                }
            }
            try await until { node.asked.count >= NodeEmbedder.textsAtOnce }
            group.cancelAll()
            for try await error in group { #expect(error == .cancelled) }
        }
        #expect(node.cancelled == NodeEmbedder.textsAtOnce && node.asked.count == NodeEmbedder.textsAtOnce)
    }
}

@Suite(.timeLimit(.minutes(1))) struct `Waiting in tests` {
    @Test func `ends when it is given up, whatever it waits for`() async {
        let wait = Task { try await until { false } }
        wait.cancel()
        await #expect(throws: CancellationError.self) { try await wait.value }
        await #expect(throws: TooLate.self) { try await within("nothing", seconds: 0) { try await until { false } } }
    }
}
