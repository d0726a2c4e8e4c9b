import ArgumentParser
import FoundationEssentials
import Node
import Wire

/// `skein verify`: staged against unstaged.
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare a model cut into stages with the same model uncut, bit for bit.",
        discussion: "Exits with 1 when any logit or token differs.")

    @Argument(help: "Model file (GGUF). Default: the built-in model.")
    var model: String?

    @Option(help: "Run every legal cut into exactly this many stages. Default: all into 2, and some into 3 and 4.")
    var stages: Int?

    @Option(help: "Run one cut: in front of the layers a,b,…; or 'all'.")
    var cuts = "all"

    @Option(help: "How activations travel between stages.")
    var wire = "f32"

    @OptionGroup var cache: CacheOptions

    @Option(help: "Tokens decoded per sequence.")
    var tokens = 64

    @Flag(help: "Print the report as JSON.")
    var json = false

    func run() throws {
        let cacheFolder = Folders.cache
        var spec = VerificationSpec(path: try model ?? NodeService.builtinModelPath(cacheFolder: cacheFolder))
        guard let format = WireFormat.allCases.first(where: { $0.description == wire }) else {
            throw ValidationError(
                "--wire is '\(wire)'; it takes \(WireFormat.allCases.map(\.description).joined(separator: ", ")).")
        }
        spec.wire = format
        spec.tokenCount = max(1, tokens)
        (spec.keyType, spec.valueType) = (cache.cacheTypeK, cache.cacheTypeV)
        if let stages { spec.cuts = .stages(stages) }
        if cuts != "all" {
            guard let list = NumberList(argument: cuts) else {
                throw ValidationError("--cuts is '\(cuts)'; it takes layers or 'all'.")
            }
            spec.cuts = .boundaries(list.numbers)
        }
        do {
            let report = try Verification(spec, cacheFolder: cacheFolder).run { verdict in
                if !json { Output.line(Self.line(verdict)) }
            }
            try show(report)
            if !report.passed { throw ExitCode(1) }
        } catch let code as ExitCode {
            throw code
        } catch {
            Output.error("\(error)")
            // What the command line can mend is no difference between cuts.
            if case .setting = error as? DeploymentError { throw ExitCode(2) }
            throw ExitCode(1)
        }
    }

    private func show(_ report: VerificationReport) throws {
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys]
            encoder.nonConformingFloatEncodingStrategy = .convertToString(
                positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
            Output.line(String(decoding: try encoder.encode(report), as: UTF8.self))
        } else if let refusal = report.refusal {
            Output.line("\(report.architecture) cannot be cut: \(refusal)")
        } else {
            let passed = report.cuts.count { $0.passed }
            Output.line(
                "\(report.model): \(passed) of \(report.cuts.count) cuts bit for bit equal "
                    + "(\(report.architecture), \(report.layers) layers, wire \(report.wire))"
            )
            if let layered = report.layered {
                Output.line("prompts that go through the layers one by one: \(Self.outcome(layered))")
            }
        }
    }

    private static func line(_ verdict: CutVerdict) -> String {
        let cut = verdict.cut.map(String.init).joined(separator: ",")
        return "cut \(cut): \(outcome(verdict))"
    }

    private static func outcome(_ verdict: CutVerdict) -> String {
        let outcome = verdict.passed ? "equal" : verdict.reason ?? "differs by \(verdict.maxAbsDiff)"
        return "\(outcome), \(verdict.tokensEqual) of \(verdict.tokens) tokens"
    }
}
