import ReferenceEngine
import Testing
import Vocabulary

@testable import Serving

/// What the model alone answers to a request: token by token in one piece, without a brain, neighbours, guesses or kept
/// sequences. So a brain that goes wrong always, and not only beside others, differs from it, too.
struct Undisturbed {
    /// One answer to the prompt.
    struct Choice {
        var tokens: [Token] = []
        /// What the client is told, in order.
        var pieces: [OutputDelta] = []
        var finish: FinishReason
        var stopText: String?
    }

    /// Why a placement of this size cannot answer at all.
    let refusal: GenerationError?
    let promptTokens: Int
    private(set) var choices: [Choice] = []

    /// The caller MUST pass a request for text that brings its seed and keeps a journal.
    init(_ request: GenerationRequest, _ options: LocalPipeline.Options) throws {
        let prompt = try ReferenceRenderer().prepare(request)
        let check = RequestCheck(
            window: min(options.window, options.cellCount), cellCount: options.cellCount, laneCount: options.laneCount,
            vocabularySize: ReferenceTokenizer.size)
        refusal = check.refusal(of: request, prompt)
        promptTokens = prompt.tokens.count
        guard refusal == nil else { return }
        let room = check.outputRoom(promptCount: promptTokens, choiceCount: request.choiceCount)
        let limit = min(request.maxOutputTokens ?? room, room)
        for index in 0..<request.choiceCount {
            choices.append(try Self.choice(index, of: request, prompt.tokens, limit: limit, options))
        }
    }

    private static func choice(
        _ index: Int, of request: GenerationRequest, _ prompt: [Token], limit: Int, _ options: LocalPipeline.Options
    ) throws -> Choice {
        let lane = Lane(0)
        var parameters = request.sampling
        parameters.seed = try #require(request.sampling.seed) &+ UInt64(index)
        let layers = LayerRange(first: 0, end: options.sizes.layerCount)
        var stage = ReferenceStage(
            model: Models.model(options.sizes, options.modelSeed, layers), cellCount: prompt.count + limit,
            laneCount: 1, rowLimit: prompt.count)
        try stage.apply(
            .open(
                lane: lane,
                sampling: LaneSampling(
                    parameters: parameters, topLogprobs: request.topLogprobs, promptLength: Int32(prompt.count))))
        var assembler = OutputAssembler(
            request: request.id, choice: index, tokenLimit: limit,
            ignoresEndOfGeneration: request.sampling.ignoreEndOfGeneration, stops: StopMatcher(request.stop),
            format: nil, keepsJournal: request.keepsJournal)
        var choice = Choice(finish: .length)
        var rows = prompt.indices.map { position in
            StageRow(
                lane: lane, position: Int32(position), token: prompt[position], samples: position + 1 == prompt.count)
        }
        var output = StageOutput()
        let nothing: [Float] = []
        while true {
            try stage.execute(rows, activations: nothing.span, into: &output)
            let sampled = try #require(output.samples.first)
            choice.tokens.append(sampled.token)
            let progress = assembler.push(
                sampled.token, logprob: sampled.logprob, tokenizer: ReferenceTokenizer(), renderer: ReferenceRenderer())
            if !progress.delta.isEmpty { choice.pieces.append(progress.delta) }
            if let finish = progress.finish {
                (choice.finish, choice.stopText) = (finish, assembler.metStop)
                return choice
            }
            rows = [StageRow(lane: lane, position: sampled.position, token: sampled.token, samples: true)]
        }
    }
}
