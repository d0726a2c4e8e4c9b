import Foundation
import GGUF
import ModelStore
import Serving
import Testing
import Vocabulary

@testable import LlamaEngine

/// All tests of this target, one after the other: the library's log is one per process.
@Suite(.serialized, .timeLimit(.minutes(5))) struct `The engine` {}

/// The built-in model, loaded once.
enum BuiltinModel {
    static var path: String {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Models/skein-tiny-q8_0.gguf").path
    }

    private static let loaded = Result { SharedModel(try LlamaModel(path: path)) }

    static var shared: SharedModel { get throws { try loaded.get() } }

    static func cutter() throws -> ModelCutter { try ModelFile(path: path).cutter() }

    static func tokens(_ text: String) throws -> [Token] {
        try LlamaTokenizer(try shared).tokens(of: text, special: true)
    }

    static func text(_ tokens: [Token]) throws -> String {
        let tokenizer = LlamaTokenizer(try shared)
        return String(decoding: tokens.flatMap { tokenizer.bytes(of: $0) }, as: UTF8.self)
    }
}

extension ContextOptions {
    /// With the cache as a deployment of the built-in model has it, or in another format.
    static func deployed(
        cellCount: Int, laneCount: Int, rowLimit: Int, threads: Int = 1, cache: CacheFormat = .q8_0
    ) -> ContextOptions {
        ContextOptions(
            cellCount: cellCount, laneCount: laneCount, rowLimit: rowLimit, threads: threads, keyType: cache,
            valueType: cache)
    }
}

/// A stage with its output, and the few steps the tests are made of.
final class EngineStage {
    var engine: LlamaStageEngine
    var output = StageOutput()

    /// The whole built-in model in one stage.
    init(
        lanes: Int = 4, cells: Int = 1024, rows: Int = 128, threads: Int = 1, cache: CacheFormat = .q8_0
    ) throws {
        let configuration = LlamaStageConfiguration(
            path: BuiltinModel.path, layers: LayerRange(first: 0, end: 8), layerCount: 8, recipe: .whole(width: 256),
            context: .deployed(
                cellCount: cells, laneCount: lanes, rowLimit: rows, threads: threads, cache: cache))
        engine = try LlamaStageEngine(configuration, model: try BuiltinModel.shared)
    }

    init(_ configuration: LlamaStageConfiguration) throws {
        engine = try LlamaStageEngine(configuration)
    }

    /// The built-in model cut at these boundaries, and the files that hold its stages below a folder.
    static func chain(_ boundaries: [Int], _ folder: URL) throws -> (stages: [EngineStage], pins: [PinnedFile]) {
        let cutter = try BuiltinModel.cutter()
        let cut = try #require(Cut(layerCount: cutter.layerCount, boundaries: boundaries))
        try cutter.check(cut)
        let cache = StageFileCache(folder: folder.path)
        var pins: [PinnedFile] = []
        let stages = try cut.stages.map { layers in
            let plan = try cutter.plan(layers)
            let pin = try cache.materialise(plan, of: BuiltinModel.path, digest: "d")
            pins.append(pin)
            return try EngineStage(
                LlamaStageConfiguration(
                    path: pin.path, layers: layers, layerCount: cutter.layerCount, recipe: plan.recipe,
                    context: .deployed(cellCount: 1024, laneCount: 4, rowLimit: 128)))
        }
        return (stages, pins)
    }

    /// For what is to have the bits that the library by itself has.
    func leaveAttentionToLibrary() { engine.context.hooks?.attention.isOff = true }

    func apply(_ operation: SequenceOperation) throws { try engine.apply(operation) }

    func open(_ lane: UInt16 = 0, _ sampling: LaneSampling) throws {
        try engine.apply(.open(lane: Lane(lane), sampling: sampling))
    }

    func execute(_ rows: [StageRow], activations: [Float] = []) throws {
        try engine.execute(rows, activations: activations.span, into: &output)
    }

    func logits(ofRow row: Int) -> [Float] {
        var values: [Float] = []
        engine.copyLogits(ofRow: row, into: &values)
        return values
    }

    /// Runs tokens of one lane; the last one is sampled. Answers the logits of that row.
    @discardableResult
    func run(_ tokens: [Token], lane: UInt16 = 0, at start: Int = 0) throws -> [Float] {
        try execute(Self.rows(tokens, lane: lane, at: start))
        return logits(ofRow: tokens.count - 1)
    }

    static func rows(_ tokens: [Token], lane: UInt16 = 0, at start: Int = 0) -> [StageRow] {
        tokens.enumerated().map { offset, token in
            StageRow(
                lane: Lane(lane), position: Int32(start + offset), token: token, samples: offset + 1 == tokens.count)
        }
    }

    /// Opens a lane, runs the prompt and follows the sampler for `count` tokens, or to the end of the answer when
    /// `endsEarly`. Answers the tokens.
    func answer(
        _ prompt: [Token], _ sampling: LaneSampling, count: Int, lane: UInt16 = 0, endsEarly: Bool = false
    ) throws -> [Token] {
        let tokenizer = LlamaTokenizer(engine.model)
        try open(lane, sampling)
        try run(prompt, lane: lane)
        var answer: [Token] = []
        while answer.count < count {
            let sample = try #require(output.samples.first)
            #expect(sample.lane == Lane(lane))
            #expect(sample.position == Int32(prompt.count + answer.count))
            answer.append(sample.token)
            if endsEarly, tokenizer.endsGeneration(sample.token) { break }
            if answer.count < count { try run([sample.token], lane: lane, at: prompt.count + answer.count - 1) }
        }
        try apply(.free(lane: Lane(lane)))
        return answer
    }
}

extension LaneSampling {
    /// Greedy, or with a temperature and a seed.
    static func plain(_ prompt: [Token], temperature: Float = 0, seed: UInt64 = 0) -> LaneSampling {
        var parameters = SamplingParameters()
        parameters.temperature = temperature
        parameters.seed = seed
        return LaneSampling(parameters: parameters, promptLength: Int32(prompt.count))
    }
}

extension [Float] {
    /// Index of the first largest element.
    var argmax: Token {
        var best = 0
        for index in indices where self[index] > self[best] { best = index }
        return Token(best)
    }

    /// Whether both are the same bit for bit.
    func isIdentical(to other: [Float]) -> Bool {
        count == other.count && zip(self, other).allSatisfy { $0.bitPattern == $1.bitPattern }
    }

    /// The largest difference of two elements.
    func distance(to other: [Float]) -> Float {
        count == other.count ? zip(self, other).reduce(0) { Swift.max($0, abs($1.0 - $1.1)) } : .infinity
    }

    /// Natural logarithms of the probabilities these logits mean.
    var logProbabilities: [Double] {
        let largest = Double(self.max() ?? 0)
        let total = reduce(0.0) { $0 + exp(Double($1) - largest) }
        return map { Double($0) - largest - log(total) }
    }
}
