import Foundation
import Logging
import ModelStore
import NIOCore
import NIOPosix
import Runner
import Testing
import Vocabulary

@testable import Node

/// Files and folders the tests start from.
enum Fixture {
    private static var repository: URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    }

    static var model: String { repository.appending(path: "Models/skein-tiny-q8_0.gguf").path }

    /// Computes what `model` does, and has a head for several tokens behind its layers.
    static var headedModel: String { repository.appending(path: "Models/skein-tiny-mtp-q8_0.gguf").path }

    /// What the node would tell people during tests.
    static var silence: Logger { Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() } }

    /// The program whose runners are started: `SKEIN_BIN`, or the one that was built beside these tests.
    static func executable() throws -> String {
        var candidates: [String] = []
        if let named = ProcessInfo.processInfo.environment["SKEIN_BIN"] { candidates.append(named) }
        let bundle = URL(filePath: CommandLine.arguments.first ?? "").deletingLastPathComponent()
        candidates.append(bundle.appending(path: "skein").path)
        candidates += ["release", "debug"].map { repository.appending(path: ".build/\($0)/skein").path }
        return try #require(
            candidates.first { FileManager.default.isExecutableFile(atPath: $0) },
            "no program at \(candidates.joined(separator: ", ")); build it with `swift build` or set SKEIN_BIN")
    }

    /// Calls `body` with a folder that is gone afterwards.
    static func withFolder<Value>(_ body: (String) async throws -> Value) async throws -> Value {
        let url = FileManager.default.temporaryDirectory.appending(path: "skein-node-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: url) }
        return try await body(url.path)
    }

    static func plan(
        in folder: String, _ change: (inout DeploymentSpec) -> Void = { _ in }
    ) throws(DeploymentError) -> DeploymentPlan {
        var spec = DeploymentSpec(name: "tiny", path: model)
        spec.threads = 1
        spec.window = 512
        change(&spec)
        return try DeploymentPlan(spec, caches: NodeCaches(folder: folder))
    }
}

/// What was waited for did not happen.
struct TooLate: Error, CustomStringConvertible {
    let what: String
    let seconds: Int64

    var description: String { "\(what) did not happen within \(seconds) s" }
}

/// The outcome of `body`, or `TooLate`: a test that waits in vain fails instead of hanging, whatever it waits for.
func within<Value: Sendable>(
    _ what: String, seconds: Int64 = 60, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    let (outcomes, sink) = AsyncStream.makeStream(of: Result<Value, any Error>.self)
    let work = Task {
        do { sink.yield(.success(try await body())) } catch { sink.yield(.failure(error)) }
    }
    let timer = MultiThreadedEventLoopGroup.singleton.next().scheduleTask(in: .seconds(seconds)) {
        _ = sink.yield(.failure(TooLate(what: what, seconds: seconds)))
    }
    defer {
        timer.cancel()
        work.cancel()
    }
    for await outcome in outcomes { return try outcome.get() }
    throw CancellationError()
}

/// Waits until something is so; a test whose time is over, or a wait that was given up, ends instead of waiting on.
func until(_ isSo: () async throws -> Bool) async throws {
    while try await !isSo() {
        try Task.checkCancellation()
        await Task.yield()
    }
}

/// A placement of the built-in model in real processes.
struct RunningPlacement: Sendable {
    let supervisor: PlacementSupervisor
    /// Folder of its sockets.
    let folder: String

    /// Starts a placement, waits until it is ready, calls `body` and stops it.
    static func with(
        _ change: (inout DeploymentSpec) -> Void = { _ in },
        _ body: @escaping @Sendable (RunningPlacement) async throws -> Void
    ) async throws {
        let executable = try Fixture.executable()
        try await Fixture.withFolder { cache in
            let plan = try Fixture.plan(in: cache, change)
            try await SocketFolder.with { folder in
                let placement = RunningPlacement(
                    supervisor: PlacementSupervisor(
                        plan: plan, executable: executable, folder: folder,
                        eventLoop: MultiThreadedEventLoopGroup.singleton.next(), logger: Fixture.silence),
                    folder: folder)
                try await placement.run(body)
            }
        }
    }

    private func run(_ body: @escaping @Sendable (RunningPlacement) async throws -> Void) async throws {
        let running = Task { await supervisor.run() }
        do {
            _ = try await within("the start of the placement") { try await supervisor.ready() }
            try await within("the test's body", seconds: 120) { try await body(self) }
        } catch {
            running.cancel()
            try await within("the end of the placement") { await running.value }
            throw error
        }
        running.cancel()
        try await within("the end of the placement") { await running.value }
        guard case .stopped = await supervisor.state else {
            Issue.record("a cancelled placement is not stopped: \(await supervisor.state)")
            return
        }
    }

    /// A greedy request of the built-in model's chat.
    static func request(_ id: UInt64, _ text: String, tokens: Int = 32) -> GenerationRequest {
        var request = GenerationRequest(
            id: RequestID(id), model: "tiny", prompt: .chat([Message(role: .user, text: text)]))
        request.sampling.temperature = 0
        request.maxOutputTokens = tokens
        return request
    }

    /// Everything that happens to a request.
    func events(_ request: GenerationRequest) async throws -> [GenerationEvent] {
        let link = try await supervisor.ready()
        var events: [GenerationEvent] = []
        for await event in await link.generate(request) { events.append(event) }
        return events
    }
}

extension RunningPlacement {
    /// Everything that happens to a request for a long answer; `began` is called at its first output.
    func story(_ id: UInt64, began: @Sendable () -> Void) async throws -> [GenerationEvent] {
        var request = Self.request(id, "Tell me a story.", tokens: 900)
        request.sampling.ignoreEndOfGeneration = true
        let link = try await supervisor.ready()
        var events: [GenerationEvent] = []
        var hasBegun = false
        for await event in await link.generate(request) {
            if case .output = event, !hasBegun {
                hasBegun = true
                began()
            }
            events.append(event)
        }
        return events
    }
}

extension [GenerationEvent] {
    /// The answer's text.
    var text: String {
        reduce(into: "") { text, event in
            if case .output(let delta) = event { text += delta.text }
        }
    }

    /// The events that end the request.
    var ends: [GenerationEvent] { filter(\.isTerminal) }
}
