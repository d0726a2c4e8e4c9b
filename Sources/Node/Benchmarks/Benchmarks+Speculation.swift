import LlamaEngine
import Runner
import Transport
import Vocabulary

/// What `skein bench speculation` runs.
package struct SpeculationBench: Sendable {
    /// Stages, one thread each.
    var stages: Int
    /// Requests at once.
    var streams: Int
    /// Tokens of an answer.
    var tokens: Int
    /// Added one-way delay per hop. **Units:** microseconds.
    var delayMicroseconds: Int
    /// How tokens are guessed.
    var drafting: DeploymentSpec.Drafting

    /// Makes the settings.
    package init(
        stages: Int, streams: Int, tokens: Int, delayMicroseconds: Int, drafting: DeploymentSpec.Drafting = .auto
    ) {
        self.stages = stages
        self.streams = streams
        self.tokens = tokens
        self.delayMicroseconds = delayMicroseconds
        self.drafting = drafting
    }
}

/// What an answer is like.
enum GuessableText: String, CaseIterable {
    /// A table is edited: the answer is the prompt's with another number in each line, whatever the model would say.
    case edit
    /// The model goes on as it likes, always with the likeliest token.
    case free
    /// A story, as the built-in model tells one: as long as it is, at most as many tokens as are asked for.
    case chat
    /// Tokens drawn almost evenly: what comes is no matter of what came.
    case strange

    /// A request for such an answer; `run` and `stream` make no two alike.
    func request(_ bench: SpeculationBench, run: Int, stream: Int) -> GenerationRequest {
        var random = SeededRandom(seed: UInt64(run * 1000 + stream))
        let lines = (0..<16).map { _ in "\(random.below(1000)),417,\(random.below(1000)),\(random.below(1000));" }
        let table = lines.joined(separator: "\n")
        var request = GenerationRequest(
            id: RequestID(UInt64.random(in: 1 ... .max)), model: "auto",
            prompt: .text("Put 902 in place of 417:\n\(table)\nThe new table:\n"))
        request.sampling.temperature = 0
        request.maxOutputTokens = bench.tokens
        switch self {
        case .edit:
            let answer = lines.map { $0.replacing(",417,", with: ",902,") }.joined(separator: "\\n")
            request.responseFormat = .grammar("root ::= \"\(answer)\"")
        case .chat:
            let one = ["fox", "mouse", "goose", "cat", "owl"][random.below(5)]
            let other = ["lamp", "key", "book", "hat", "boat"][random.below(5)]
            let question = "Tell me a story about a \(one) and a \(other)."
            request.prompt = .chat([Message(role: .user, text: question)])
        case .free: request.sampling.ignoreEndOfGeneration = true
        case .strange:
            request.sampling.ignoreEndOfGeneration = true
            request.sampling.temperature = 50
            (request.sampling.topK, request.sampling.topP, request.sampling.minP) = (0, 1, 0)
        }
        return request
    }
}

extension Benchmarks {
    /// Guessed tokens against none, in turns: tokens per second while answers come, and how many guesses were right.
    ///
    /// **Throws:** `DeploymentError` or `GenerationError` when a placement does not run.
    package static func speculation(
        model: String, _ bench: SpeculationBench, _ environment: BenchEnvironment
    ) async throws -> BenchReport {
        var report = BenchReport(
            "speculation", model: model,
            settings: [
                "threads": "1 per stage", "stages": "\(bench.stages)", "streams": "\(bench.streams)",
                "decode": "\(bench.tokens)", "delay_us": "\(bench.delayMicroseconds)",
            ], engine: LlamaLibrary.version)
        func placement(_ name: String, _ drafting: DeploymentSpec.Drafting) -> DeploymentSpec {
            var spec = spec(model, name: name, stages: bench.stages, threads: 1, lanes: bench.streams)
            spec.window = (1024 + bench.tokens) * bench.streams
            spec.drafting = drafting
            spec.conditions.delayMicroseconds = bench.delayMicroseconds
            return spec
        }
        var figures = [GuessableText: SpeculationFigures]()
        for run in 1...environment.runs {
            try await BenchPlacement.withPair(
                placement("off", .off), placement("auto", bench.drafting), environment: environment
            ) { off, auto in
                for text in GuessableText.allCases {
                    let before = try await auto.report()
                    let rates = try await rates(run % 2 == 0 ? [off, auto] : [auto, off], text, bench, run: run)
                    var latest = figures[text] ?? SpeculationFigures()
                    latest.add(rates[run % 2], rates[1 - run % 2], before, try await auto.report())
                    figures[text] = latest
                    environment.progress("\(text.rawValue) run \(run): \(latest.latest)")
                }
            }
        }
        for text in GuessableText.allCases { report.results += figures[text]?.results(text.rawValue) ?? [] }
        return report
    }

    /// Least time each placement of a run decodes for, in turns: a short answer alone tells the machine's mood.
    /// **Units:** seconds per stream.
    private static let roundSeconds = 2.0
    /// Least and most turns of a run: what can be guessed differs from one request to the next.
    private static let turns = 3...24

    /// Tokens per second of all streams while they answer, by placement: what one stream does on the average, times
    /// their number. The placements answer in turns.
    private static func rates(
        _ placements: [BenchPlacement], _ text: GuessableText, _ bench: SpeculationBench, run: Int
    ) async throws -> [Double] {
        var sums = placements.map { _ in (tokens: 0, seconds: 0.0) }
        let least = roundSeconds * Double(bench.streams)
        for turn in 0..<turns.upperBound where turn < turns.lowerBound || sums.contains(where: { $0.seconds < least }) {
            for (index, placement) in placements.enumerated() {
                for sample in try await answers(placement, text, bench, run: run * turns.upperBound + turn) {
                    sums[index].tokens += sample.outputTokens - 1
                    sums[index].seconds += sample.decodeSeconds
                }
            }
        }
        return sums.map { Double($0.tokens * bench.streams) / $0.seconds }
    }

    private static func answers(
        _ placement: BenchPlacement, _ text: GuessableText, _ bench: SpeculationBench, run: Int
    ) async throws -> [BenchPlacement.Sample] {
        try await withThrowingTaskGroup(of: BenchPlacement.Sample.self) { group in
            for stream in 0..<bench.streams {
                group.addTask { try await placement.generate(text.request(bench, run: run, stream: stream)) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }
}
