import Gateway
import Vocabulary

/// Answers requests for embeddings by requests for single vectors: every text waits in the same line as any other
/// request, is cancelled, timed and routed like one, and goes on elsewhere when a stage is lost.
struct NodeEmbedder: Embedding {
    /// Texts of one request that are under way at once: enough to fill microbatches, few enough to leave most places
    /// in the line to others.
    static let textsAtOnce = 4

    let backend: any Generating

    func embed(_ request: EmbeddingRequest) async throws(GenerationError) -> EmbeddingAnswer {
        let arrival = Arrival(timeout: request.timeoutSeconds)
        var answer = EmbeddingAnswer(vectors: Array(repeating: [], count: request.inputs.count), promptTokens: 0)
        let outcome = await withTaskGroup(of: (Int, Result<Vector, GenerationError>).self) { group in
            var next = 0
            var failure: GenerationError?
            func startOne(_ group: inout TaskGroup<(Int, Result<Vector, GenerationError>)>) {
                guard failure == nil, next < request.inputs.count else { return }
                let index = next
                var single = single(of: request, index)
                single.elapsedSeconds = arrival.elapsedSeconds
                next += 1
                group.addTask { [single] in (index, await vector(single)) }
            }
            for _ in 0..<Self.textsAtOnce { startOne(&group) }
            while let (index, result) = await group.next() {
                switch result {
                case .success(let vector):
                    answer.vectors[index] = vector.numbers
                    answer.promptTokens += vector.tokens
                    failure = failure ?? Self.refusal(of: request, width: vector.numbers.count)
                case .failure(let error): failure = failure ?? error
                }
                if failure != nil { group.cancelAll() }
                startOne(&group)
            }
            return failure
        }
        if let outcome { throw outcome }
        // Only now: what is to be unloaded is still needed by the other texts.
        if let time = request.residency?.keepAlive { await backend.keep(request.model, for: time) }
        return answer
    }

    private struct Vector: Sendable {
        var numbers: [Float] = []
        var tokens = 0
    }

    /// More numbers are wanted than the model's vectors have.
    private static func refusal(of request: EmbeddingRequest, width: Int) -> GenerationError? {
        guard let wanted = request.dimensions, wanted > width else { return nil }
        return .invalidField(
            name: "dimensions", value: "\(wanted)", limit: "the model's vectors have \(width) numbers")
    }

    private func single(of request: EmbeddingRequest, _ index: Int) -> GenerationRequest {
        let prompt: GenerationRequest.Prompt =
            switch request.inputs[index] {
            case .text(let text): .text(text)
            case .tokens(let tokens): .tokens(tokens)
            }
        let id = request.inputs.count == 1 ? request.id : backend.nextRequestID()
        var single = GenerationRequest(id: id, model: request.model, prompt: prompt)
        single.embedding = EmbeddingWish(truncates: request.truncates)
        single.residency = request.residency.map { Residency(mayDeploy: $0.mayDeploy) }
        single.caller = request.caller
        single.timeoutSeconds = request.timeoutSeconds
        return single
    }

    private func vector(_ request: GenerationRequest) async -> Result<Vector, GenerationError> {
        let generation = await backend.generate(request)
        var vector = Vector()
        return await withTaskCancellationHandler {
            for await event in generation.events {
                switch event {
                case .preparing, .queued: break
                case .started(let tokens, _): vector.tokens = tokens
                case .output(let delta): if !delta.vector.isEmpty { vector.numbers = Self.normalised(delta.vector) }
                case .finished:
                    guard !vector.numbers.isEmpty else {
                        return .failure(.engineFailed(reason: "the answer holds no vector"))
                    }
                    return .success(vector)
                case .failed(let error): return .failure(error)
                }
            }
            return .failure(.cancelled)
        } onCancel: {
            generation.cancel()
        }
    }

    /// The vector with length 1; one without a direction stays what it is.
    private static func normalised(_ vector: [Float]) -> [Float] {
        let length = vector.reduce(into: 0.0 as Double) { $0 += Double($1) * Double($1) }.squareRoot()
        return length > 0 ? vector.map { Float(Double($0) / length) } : vector
    }
}
