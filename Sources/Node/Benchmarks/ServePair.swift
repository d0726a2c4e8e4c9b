import LlamaEngine
import NIOCore
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The servers of `skein bench serve`: Skein, and llama-server of the same engine build when its folder is known, or
/// another Skein that has kept nothing.
struct ServePair: Sendable {
    let model: String
    let settings: ServeSettings
    let environment: BenchEnvironment

    /// Compute threads of either server.
    var threads: Int { settings.threads ?? Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// Who is measured beside Skein.
    var peerName: String { settings.keptTokens == nil ? "llama-server" : "with nothing kept" }

    /// Calls `body` with both servers up, both idle. Each answers `lanes` requests at once, with the same room for
    /// each.
    func with<Value: Sendable>(
        lanes: Int, _ body: @escaping @Sendable (_ skein: LoadTarget, _ peer: LoadTarget?) async throws -> Value
    ) async throws -> Value {
        try await LoadTarget.withEventLoop { eventLoop in
            try await skein(lanes: lanes, keeps: settings.keptTokens != nil).with(on: eventLoop) { skein in
                guard let peer = peer(lanes: lanes) else { return try await body(skein, nil) }
                return try await peer.with(on: eventLoop) { try await body(skein, $0) }
            }
        }
    }

    /// Nothing is guessed, and nothing is kept of ended requests unless that is the question, as
    /// llama-server does neither: what is measured is computing.
    func skein(lanes: Int, keeps: Bool = false) -> ServerProcess {
        let (threads, stages, cache, model) = (threads, settings.stages, settings.cacheType.rawValue, model)
        let conversations = keeps ? settings.keptConversations : []
        // Beside the conversations what a round to warm up and the measured one leave.
        let kept = keeps ? conversations.count + 2 * lanes : 0
        let window = settings.slotTokens * (keeps ? 3 * lanes : lanes) + conversations.reduce(0) { $0 + $1 + 256 }
        return ServerProcess(
            name: "skein", executable: environment.executable,
            arguments: { port in
                [
                    "serve", model, "--name", "bench", "--listen", "127.0.0.1:\(port)", "--stages", "\(stages)",
                    "--lanes", "\(lanes)", "--ctx", "\(window)", "--threads", "\(max(1, threads / stages))",
                    "--kept-prefixes", "\(kept)", "--draft", "off", "--cache-type-k", cache, "--cache-type-v", cache,
                    "--log-level", "error",
                ]
            },
            // Keys and stored responses of whoever measures are not touched.
            variables: ["SKEIN_HOME": "\(environment.cacheFolder)/bench/home"], readyPath: "/readyz", model: "bench")
    }

    /// With its caches of ended requests off, too; else it copies every one of them.
    private func peer(lanes: Int) -> ServerProcess? {
        if settings.keptTokens != nil { return skein(lanes: lanes) }
        guard let folder = environment.peerFolder else { return nil }
        let (threads, cache, model) = (threads, settings.cacheType.rawValue, model)
        let window = settings.slotTokens * lanes
        return ServerProcess(
            name: "llama-server", executable: "\(folder)/llama-server",
            arguments: { port in
                [
                    "-m", model, "--host", "127.0.0.1", "--port", "\(port)", "-np", "\(lanes)", "-c", "\(window)",
                    "-t", "\(threads)", "-tb", "\(threads)", "-ctk", cache, "-ctv", cache, "-fa", "on",
                    "--cache-ram", "0", "--no-ui", "--fit", "off",
                ]
            }, readyPath: "/health", model: "bench")
    }

    /// Token ids that no other stream and run has, so that no cached beginning helps. The ids are those of single bytes
    /// in every vocabulary.
    static func prompt(_ tokens: Int, run: Int, stream: Int) -> [Int] {
        var random = SeededRandom(seed: UInt64(run) << 32 | UInt64(stream))
        return (0..<tokens).map { _ in 32 + Int(random.below(200)) }
    }

    /// Has conversations answered, one after the other, that the server keeps.
    func leaveConversations(on target: LoadTarget) async throws {
        for (index, tokens) in settings.keptConversations.enumerated() {
            let prompt = Self.prompt(tokens, run: Self.conversationRun, stream: index)
            let records = try await target.answers(
                to: [.completion(model: target.model, prompt: prompt, tokens: BenchLimits.decodeTokens.lowerBound)])
            for record in records { _ = try record.checked(target.name, tokens: BenchLimits.decodeTokens.lowerBound) }
        }
    }

    /// A run that no round is, for prompts of their own.
    private static let conversationRun = 1 << 20

    /// One round: so many requests at once, each with a prompt of its own, on a machine that has come to rest.
    func round(_ target: LoadTarget, streams: Int, run: Int, tokens: Int? = nil) async throws -> LoadFigures {
        try await Task.sleep(for: BenchLimits.rest)
        let tokens = tokens ?? settings.decodeTokens
        let requests = (0..<streams).map { stream in
            LoadRequest.completion(
                model: target.model, prompt: Self.prompt(settings.promptTokens, run: run, stream: stream),
                tokens: tokens)
        }
        let records = try await target.answers(to: requests)
        return LoadFigures(try records.map { try $0.checked(target.name, tokens: tokens) })
    }
}
