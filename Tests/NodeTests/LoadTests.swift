import NIOCore
import NIOPosix
import Testing
import Vocabulary

@testable import Node

/// The load generator against the real gateway and a node that answers by a script.
@Suite(.timeLimit(.minutes(2))) struct `Load` {
    private static func withGateway(
        _ node: NullNode, _ body: @escaping @Sendable (LoadTarget) async throws -> Void
    ) async throws {
        try await within("the load", seconds: 60) {
            try await LoadTarget.withEventLoop { eventLoop in
                try await LoopbackApplication.gateway(node).with(on: eventLoop, name: "gateway") { try await body($0) }
            }
        }
    }

    @Test(arguments: BenchDialect.allCases)
    func `every dialect's stream is counted piece by piece`(dialect: BenchDialect) async throws {
        try await Self.withGateway(NullNode()) { target in
            let records = try await target.answers(
                to: [LoadRequest](repeating: dialect.request(tokens: 40, isStream: true), count: 5))
            #expect(records.count == 5)
            for record in records {
                let checked = try record.checked(target.name, tokens: 40)
                #expect(checked.arrivals.count == 40)
                #expect(checked.sent <= checked.arrivals[0])
                #expect(checked.arrivals == checked.arrivals.sorted())
                #expect((checked.arrivals.last ?? .max) <= checked.ended)
            }
            let figures = LoadFigures(records)
            #expect(figures.tokensPerSecond > 0)
            #expect(figures.firsts.count == 5)
            #expect(figures.gaps.count == 5 * 39)
            let whole = try await target.answers(to: [dialect.request(tokens: 3, isStream: false)])
            #expect(try whole[0].checked(target.name).opening.first == UInt8(ascii: "{"))
        }
    }

    @Test func `a connection carries one answer after the other`() async throws {
        try await Self.withGateway(NullNode()) { target in
            try await LoadConnection.with(1, to: target) { connections in
                for tokens in [1, 7, 30] {
                    let request = BenchDialect.completions.request(tokens: tokens, isStream: true)
                    let record = try await connections[0].answer(to: request).checked(target.name, tokens: tokens)
                    #expect(record.arrivals.count == tokens)
                }
            }
        }
    }

    @Test func `a refusal is told with what the server said`() async throws {
        try await Self.withGateway(NullNode()) { target in
            let record = try await target.answers(to: [LoadRequest("/v1/completions", "{}", shape: .completions)])[0]
            #expect(record.status == 400)
            let error = #expect(throws: BenchError.self) { try record.checked("gateway", tokens: 1) }
            #expect(error.map { "\($0)".contains("status 400") } ?? false)
        }
    }

    @Test func `an answer under way is cut when its connection closes`() async throws {
        let node = NullNode(holdsAnswers: true)
        try await Self.withGateway(node) { target in
            try await LoadConnection.with(1, to: target) { connections in
                let (begun, sink) = AsyncStream.makeStream(of: Void.self)
                var request = BenchDialect.chat.request(tokens: 2, isStream: true)
                request.milestone = (1, { sink.finish() })
                let asked = request
                async let record = connections[0].answer(to: asked)
                for await _ in begun {}
                connections[0].close()
                let cut = try await record
                #expect(cut.end == .cut)
                #expect(cut.arrivals.count == 1)
                #expect(throws: BenchError.self) { try cut.checked(target.name) }
                // A closed connection answers nothing, at once.
                #expect(try await connections[0].answer(to: asked).end == .cut)
            }
        }
    }

    @Test func `held streams are all open at once`() async throws {
        try await within("the streams", seconds: 60) {
            try await LoadTarget.withEventLoop { eventLoop in
                let results = try await Benchmarks.held(50, runs: 2, on: eventLoop)
                #expect(results.map(\.metric) == ["held_streams", "held_begin_ms", "held_end_ms"])
                #expect(results[0].samples == [50, 50])
            }
        }
    }

    @Test func `a round against the echo and a dialect has every figure`() async throws {
        try await Self.withGateway(NullNode()) { gateway in
            let round = try await GatewayRound(gateway, .init(.ollama))
            #expect(round.whole.count == round.streamed.count)
            #expect(round.requestsPerSecond > 0)
            try await LoopbackApplication.echo.with(on: gateway.eventLoop, name: "echo") { echo in
                let piece = "data: {\"choices\":[{\"delta\":{\"content\":\" token\"}}]}\n\n"
                let bare = try await GatewayRound(echo, .init(echoOf: Array("{}".utf8), piece: piece))
                var figures = GatewayFigures()
                figures.add(echo: bare)
                figures.add(.ollama, round)
                let names = figures.results().map(\.metric)
                #expect(names.contains("echo_us_per_token"))
                #expect(names.contains("ollama_added_us_per_token"))
                #expect(Set(names).count == names.count)
            }
        }
    }

    @Test func `a server that is no program is named`() async throws {
        let server = ServerProcess(
            name: "none", executable: "/nowhere/none", arguments: { _ in [] }, readyPath: "/", model: "m")
        _ = try await LoadTarget.withEventLoop { eventLoop in
            await #expect(throws: BenchError.self) { try await server.with(on: eventLoop) { _ in } }
        }
    }

    @Test func `a server that ends by itself is told with its last words`() async throws {
        let server = ServerProcess(
            name: "sh", executable: "/bin/sh", arguments: { _ in ["-c", "echo out of luck >&2; exit 3"] },
            readyPath: "/", model: "m")
        let error = try await within("the end of the server", seconds: 60) {
            try await LoadTarget.withEventLoop { eventLoop in
                await #expect(throws: BenchError.self) { try await server.with(on: eventLoop) { _ in } }
            }
        }
        #expect(error.map { "\($0)".contains("out of luck") } ?? false)
    }
}

/// `skein serve` as a child, under load.
@Suite(.serialized, .timeLimit(.minutes(3))) struct `The serve bench` {
    @Test func `it measures a real server and leaves none behind`() async throws {
        let executable = try Fixture.executable()
        try await Fixture.withFolder { folder in
            var settings = ServeSettings()
            settings.streams = [2]
            settings.threads = 1
            settings.decodeTokens = 8
            settings.promptTokens = 16
            let chosen = settings
            let environment = BenchEnvironment(
                executable: executable, cacheFolder: folder, socketFolder: folder, peerFolder: nil, runs: 2)
            let report = try await within("the bench", seconds: 120) {
                try await Benchmarks.serve(model: Fixture.model, chosen, environment)
            }
            #expect(report.name == "serve")
            #expect(
                report.results.map(\.metric) == [
                    "s2_skein_tok_s", "s2_skein_decode_tok_s", "s2_skein_ttft_p50_ms", "s2_skein_ttft_p95_ms",
                    "s2_skein_gap_p50_ms", "s2_skein_gap_p99_ms",
                ])
            #expect(report.results.allSatisfy { $0.samples.count == 2 })
            #expect(report.results[0].samples.allSatisfy { $0 > 0 })
        }
    }
}
