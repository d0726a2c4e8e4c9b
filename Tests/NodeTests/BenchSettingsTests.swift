import Testing

@testable import Node

@Suite struct `What benches compare` {
    private static let environment = BenchEnvironment(
        executable: "/skein", cacheFolder: "/cache", socketFolder: "/s", peerFolder: nil, runs: 5)

    @Test func `nothing is guessed where the other side guesses nothing`() {
        for stages in 1...2 {
            let spec = Benchmarks.spec("/m.gguf", name: "bench", stages: stages, threads: 1, lanes: 4)
            #expect(spec.drafting == .off && spec.keptSequences == 0)
        }
    }

    @Test func `conversations have room beside the streams, and nobody else keeps any`() throws {
        var settings = ServeSettings()
        settings.keptTokens = 9000
        let pair = ServePair(model: "/m.gguf", settings: settings, environment: Self.environment)
        for (keeps, sequences, window) in [(true, "7", "11304"), (false, "0", "512")] {
            let arguments = pair.skein(lanes: 2, keeps: keeps).arguments(4000)
            for (option, value) in [("--kept-prefixes", sequences), ("--ctx", window)] {
                let place = try #require(arguments.firstIndex(of: option), "\(arguments)")
                #expect(arguments[place + 1] == value)
            }
        }
    }

    @Test func `a server that keeps conversations is not measured beside llama-server`() {
        var settings = ServeSettings()
        settings.keptTokens = 9000
        let error = #expect(throws: DeploymentError.self) { try settings.check(besidePeer: true) }
        #expect(error.map { "\($0)" } == "--kept-tokens is 9000; not together with --peer.")
    }

    @Test func `a served model is asked without guesses and kept beginnings, as llama-server is`() throws {
        let pair = ServePair(model: "/m.gguf", settings: ServeSettings(), environment: Self.environment)
        let arguments = pair.skein(lanes: 2).arguments(4000)
        for (option, value) in [("--draft", "off"), ("--kept-prefixes", "0"), ("--stages", "1"), ("--lanes", "2")] {
            let place = try #require(arguments.firstIndex(of: option), "\(arguments)")
            #expect(arguments[place + 1] == value)
        }
    }
}
