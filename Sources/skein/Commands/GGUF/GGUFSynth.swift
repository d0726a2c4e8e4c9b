import ArgumentParser
import GGUF
import LlamaEngine
import ModelStore

/// `skein gguf synth`: random-weight models for tests, benches and certification.
struct GGUFSynth: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "synth", abstract: "Write a random-weight model of a chosen shape, or deepen a small model.",
        discussion: """
            Known shapes: \(ModelShape.names.joined(separator: ", ")). A family gives a tiny model: \
            \(SynthesisArchitecture.allCases.map(\.rawValue).joined(separator: ", ")); \
            the size options change either. Types f32, f16, bf16, q8_0 and q4_0 are written directly, others (q4_k_m, \
            q5_k_m, q6_k …) through llama.cpp's quantiser.
            """)

    @Option(help: "Known shape or family.")
    var shape = "qwen3"

    @Option(help: "Deepen this file instead: its layers are repeated up to --layers.")
    var like: String?

    @Flag(help: "Write a projector, which makes input of images, for a model of --width floats per token.")
    var projector = false

    @Option(help: "Number of layers.")
    var layers: Int?

    @Option(help: "Floats per token.")
    var width: Int?

    @Option(help: "Tokens in the vocabulary.")
    var vocabulary: Int?

    @Option(help: "Context length in the metadata.")
    var context: Int?

    @Option(help: "Type of the matrices.")
    var type = "q8_0"

    @Option(help: "Seed of the weights.")
    var seed: UInt64 = 1

    @Argument(help: "File to write.")
    var output: String

    func run() throws {
        do {
            if projector {
                guard let width, (1...65_536).contains(width) else {
                    throw ValidationError("--projector needs --width, 1 … 65536.")
                }
                try ModelSynthesis.write(ProjectorShape(width: width), seed: seed, to: output)
            } else if let like {
                guard let layers else { throw ValidationError("--like needs --layers.") }
                try ModelRewriting.deepen(like, layers: layers, to: output)
            } else if let direct = TensorType.allCases.first(where: { "\($0)" == type }),
                WeightGenerator.canGenerate(direct)
            {
                try ModelSynthesis.write(try chosenShape(direct), seed: seed, to: output)
            } else {
                let half = output + ".f16"
                try ModelSynthesis.write(try chosenShape(.f16), seed: seed, to: half)
                defer { StoreFiles.remove(half) }
                try Quantizer.quantize(half, to: output, as: type)
            }
        } catch let error as StoreError {
            Output.error("\(error)")
            throw ExitCode(1)
        }
        Output.line("wrote \(output)")
    }

    private func chosenShape(_ tensorType: TensorType) throws -> ModelShape {
        guard var chosen = ModelShape.named(shape) ?? SynthesisArchitecture(rawValue: shape).map({ ModelShape($0) })
        else {
            let names = ModelShape.names + SynthesisArchitecture.allCases.map(\.rawValue)
            throw ValidationError("--shape is '\(shape)'; known are \(names.joined(separator: ", ")).")
        }
        chosen.tensorType = tensorType
        if let layers { chosen.layerCount = layers }
        if let width { chosen.width = width }
        if let vocabulary { chosen.vocabularySize = vocabulary }
        if let context { chosen.contextLength = context }
        return chosen
    }
}
