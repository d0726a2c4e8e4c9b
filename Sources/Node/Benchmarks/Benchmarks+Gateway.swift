import Gateway
import LlamaEngine
import Logging
import NIOCore
import ServiceLifecycle

extension Benchmarks {
    /// What the gateway costs: a null engine behind every dialect against an echo of the same HTTP server, in one
    /// process, over loopback.
    ///
    /// **Throws:** `BenchError`, or what the HTTP server throws.
    package static func gateway(runs: Int) async throws -> BenchReport {
        var report = BenchReport(
            "gateway", model: NullNode.model,
            settings: [
                "runs": "\(runs)", "stream_tokens": "\(GatewayRound.streamTokens)",
                "held_streams": "\(BenchLimits.heldStreams)",
            ], engine: LlamaLibrary.version)
        // Both ends of every connection are in this process.
        OpenFiles.allow(UInt64(BenchLimits.heldStreams * 2 + 512))
        try await LoadTarget.withEventLoop { eventLoop in
            let gateway = LoopbackApplication.gateway(NullNode())
            try await gateway.with(on: eventLoop, name: "gateway") { gateway in
                try await LoopbackApplication.echo.with(on: eventLoop, name: "echo") { echo in
                    report.results += try await costs(gateway, echo, runs: runs)
                }
            }
            report.results += try await held(BenchLimits.heldStreams, runs: runs, on: eventLoop)
        }
        return report
    }

    private static func costs(
        _ gateway: LoadTarget, _ echo: LoadTarget, runs: Int
    ) async throws -> [BenchReport.Result] {
        // The echo moves the bytes of a chat: an answer of one token, and the chunk of a token.
        let whole = try await gateway.answers(to: [BenchDialect.chat.request(tokens: 1, isStream: false)])
        let stream = try await gateway.answers(to: [BenchDialect.chat.request(tokens: 2, isStream: true)])
        let answer = try whole[0].checked(gateway.name).opening
        let lines = String(decoding: try stream[0].checked(gateway.name, tokens: 2).opening, as: UTF8.self)
        let chunk = lines.split(separator: "\n").first { $0.contains(NullNode.piece) } ?? "data: {}"
        let echoed = GatewayRound.Questions(echoOf: answer, piece: "\(chunk)\n\n")
        var figures = GatewayFigures()
        for run in 0...runs {
            let bare = try await GatewayRound(echo, echoed)
            // The first run only warms up.
            if run > 0 { figures.add(echo: bare) }
            for dialect in BenchDialect.allCases {
                let round = try await GatewayRound(gateway, .init(dialect))
                if run > 0 { figures.add(dialect, round) }
            }
        }
        return figures.results()
    }

    /// Streams that have all begun before the first may end.
    static func held(_ count: Int, runs: Int, on eventLoop: any EventLoop) async throws -> [BenchReport.Result] {
        let node = NullNode(holdsAnswers: true)
        var (heldCounts, begin, end): ([Double], [Double], [Double]) = ([], [], [])
        try await LoopbackApplication.gateway(node).with(on: eventLoop, name: "gateway") { gateway in
            for _ in 0..<runs {
                let (begun, sink) = AsyncStream.makeStream(of: Void.self)
                var request = BenchDialect.chat.request(tokens: 2, isStream: true)
                request.milestone = (1, { sink.yield() })
                let requests = [LoadRequest](repeating: request, count: count)
                async let answers = gateway.answers(to: requests)
                var beginnings = 0
                for await _ in begun {
                    beginnings += 1
                    if beginnings == count { break }
                }
                node.release()
                let records = try await answers
                let whole = records.filter { $0.end == .complete && $0.outputTokens == 2 && $0.arrivals.count == 2 }
                heldCounts.append(Double(whole.count))
                let sent = records.map(\.sent).min() ?? 0
                let last = records.compactMap(\.arrivals.first).max() ?? 0
                begin.append(Double(last - min(sent, last)) / 1e6)
                end.append(Double((records.map(\.ended).max() ?? last) - last) / 1e6)
            }
        }
        return [
            .init("held_streams", unit: "streams of \(count)", heldCounts),
            .init("held_begin_ms", unit: "ms until all had their first token", begin),
            .init("held_end_ms", unit: "ms until all had ended", end),
        ]
    }
}
