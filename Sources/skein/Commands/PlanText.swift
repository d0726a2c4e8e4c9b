import Placement
import Vocabulary

/// Plans and shortfalls as tables for people.
enum PlanText {
    static func lines(_ plan: PlacementPlan) -> [String] {
        let count = plan.stages.count
        var lines = [
            "\(plan.architecture) fits in \(count) stage\(count == 1 ? "" : "s") with \(plan.context) tokens of "
                + "context: \(reason(plan))"
        ]
        if let projector = plan.stages.first?.footprint.projector, projector.bytes > 0 {
            lines.append("  \(projector) of stage 0 are for the projector and the images it keeps")
        }
        lines += table(
            [
                "stage", "layers", "node", "weights", "cache", "compute", "other", "reserve", "free", "left", "fetch",
                "per token",
            ],
            plan.stages.map { stage in
                let footprint = stage.footprint
                return [
                    "\(stage.index)", "\(stage.layers)", "\(stage.node)/\(stage.device)", "\(footprint.weights)",
                    "\(footprint.cache)", "\(ByteCount(footprint.compute.bytes - footprint.untouched.bytes))",
                    "\(ByteCount(footprint.output.bytes + footprint.overhead.bytes + footprint.projector.bytes))",
                    "\(stage.reserve)",
                    "\(stage.freeBefore)", "\(stage.freeAfter)", "\(stage.missing)",
                    time(stage.tokenTime) + (stage.hopTime.map { " + hop \(time($0))" } ?? ""),
                ]
            })
        if plan.tokenTime.isMeasured {
            lines += table(basisTitles, plan.stages.map(basis))
            lines.append(
                "predicted: \(rounded(plan.tokensPerSecond)) tokens/s alone, \(time(plan.tokenTime)) per token; "
                    + "first token of a 512-token prompt after \(time(plan.firstTokenTime))")
            if plan.tokenTime.assumedMilliseconds > 0 {
                lines.append(
                    "  \(rounded(plan.tokenTime.assumedMilliseconds)) ms of it are assumed, as not everything was "
                        + "measured")
            }
        } else {
            lines.append(
                "speed: unknown, because not everything above was measured; 'skein devices --speed --keep' measures "
                    + "this machine")
        }
        if count > 1, let solo = plan.soloTime, solo.isMeasured {
            lines.append("one machine alone would hold it and take \(time(solo)) per token")
        }
        return lines + excluded(plan.excluded)
    }

    /// Where a draft model goes.
    static func line(_ draft: DraftAnswer) -> String {
        switch draft {
        case .besideEntry(let place):
            "the draft model takes \(place.footprint.total) of the \(place.freeBefore) left beside stage 0"
                + (place.tokenTime.isMeasured ? ", \(time(place.tokenTime)) per guess" : "")
        case .remote(let place):
            "the draft model needs \(place.footprint.total) beside stage 0, where there is less; ask for less "
                + "context, for more stages, or --draft auto"
        case .none(let required, let mostFree):
            "the draft model needs \(required), and at most \(mostFree) are left on a machine; ask for less "
                + "context, or --draft auto"
        case .vocabularyDiffers(let draft, let model):
            "the draft model has \(draft) tokens and the model has \(model); name one of the same vocabulary"
        }
    }

    /// Titles of a table with what stages' speeds were derived from.
    static let basisTitles = ["STAGE", "TOKENS/S", "PER TOKEN", "READS", "AT", "CACHE", "HOP TO THE NEXT"]

    private static func basis(_ stage: StagePlan) -> [String] {
        var hop = stage.hopTime.map { "\(rounded($0.milliseconds)) ms" } ?? "-"
        if let link = stage.hopLink {
            let known = [
                link.roundTripMilliseconds.map { "round trip \(rounded($0)) ms" },
                link.bytesPerSecond.map { rate($0) },
            ]
            hop += " (\(known.compactMap { $0 }.joined(separator: ", ")))"
        }
        return [
            "\(stage.index)", rounded(stage.tokensPerSecond), time(stage.tokenTime), "\(stage.basis.readBytes)",
            rate(stage.basis.bytesPerSecond), time(stage.basis.cacheTime), hop,
        ]
    }

    /// A rate for people.
    static func rate(_ bytesPerSecond: Double) -> String {
        bytesPerSecond < 1e9 ? "\(rounded(bytesPerSecond / 1e6)) MB/s" : "\(rounded(bytesPerSecond / 1e9)) GB/s"
    }

    static func lines(_ shortfall: Shortfall) -> [String] {
        var lines = ["\(shortfall)"]
        if !shortfall.participants.isEmpty {
            lines += table(
                ["node", "offers", "has of the model", "lacks", "round trip"],
                shortfall.participants.map { participant in
                    [
                        "\(participant.node)/\(participant.device)", "\(participant.capacity)",
                        "\(participant.cached)", "\(participant.missing)",
                        participant.roundTripMilliseconds.map { "\(rounded($0)) ms" } ?? "unknown",
                    ]
                })
        }
        lines += excluded(shortfall.excluded)
        for (index, remedy) in shortfall.remedies.enumerated() {
            lines.append("\(index == 0 ? "next step" : "       or"): \(remedy)")
        }
        return lines
    }

    private static func reason(_ plan: PlacementPlan) -> String {
        switch plan.contextReason {
        case .asked: "as asked"
        case .trained: "all the model was trained for"
        case .unaskedLimit: "more only when asked for (--ctx)"
        case .memory: "the memory of \(plan.contextNode ?? "the machines") allows no more"
        case .speed: "more would need a slower placement"
        }
    }

    private static func excluded(_ excluded: [Exclusion]) -> [String] {
        excluded.map { exclusion in
            let name = exclusion.node + (exclusion.device.map { "/\($0)" } ?? "")
            return "not used: \(name), \(exclusion.reason.rawValue)" + (exclusion.detail.map { " (\($0))" } ?? "")
        }
    }

    private static func time(_ time: PredictedTime) -> String {
        time.isMeasured ? "\(rounded(time.milliseconds)) ms" : "unknown"
    }

    /// With one place, or two below 10.
    static func rounded(_ value: Double) -> String {
        let places = value.magnitude < 10 ? 100.0 : 10.0
        return "\((value * places).rounded() / places)"
    }

    private static func table(_ titles: [String], _ rows: [[String]]) -> [String] {
        TextTable(titles: titles, rows: rows, indent: 2).lines
    }
}
