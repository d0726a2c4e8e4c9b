import FoundationEssentials
import NIOCore
import NIOPosix
import Subprocess
import Synchronization
import SystemPackage

/// A server under test: a child process that listens on loopback.
struct ServerProcess: Sendable {
    /// What reports call it.
    var name: String
    var executable: String
    /// Arguments, given the port to listen at.
    var arguments: @Sendable (Int) -> [String]
    /// Variables beside the inherited ones.
    var variables: [String: String] = [:]
    /// Answers with 200 once the server can answer requests.
    var readyPath: String
    /// The model requests name.
    var model: String

    /// Runs `body` beside the server, once it is ready; the server is gone when this returns, also after an error and
    /// when the task is cancelled.
    ///
    /// **Throws:** `BenchError` when the server does not run, and what `body` throws.
    func with<Value: Sendable>(
        on eventLoop: any EventLoop, _ body: @escaping @Sendable (LoadTarget) async throws -> Value
    ) async throws -> Value {
        guard (try? FileDescriptor.open(FilePath(executable), .readOnly).close()) != nil else {
            throw BenchError.noProgram(path: executable)
        }
        let target = LoadTarget(
            name: name, port: try await Self.freePort(eventLoop), model: model, eventLoop: eventLoop)
        let log = LogTail()
        let steps: [TeardownStep] = [
            .send(signal: .terminate, allowedDurationToNextStep: .seconds(BenchLimits.teardownSeconds))
        ]
        var options = PlatformOptions()
        options.teardownSequence = steps
        let result = try await Subprocess.run(
            .path(FilePath(executable)), arguments: Arguments(arguments(target.port)),
            environment: .inherit.updating(
                Dictionary(uniqueKeysWithValues: variables.map { (Environment.Key(stringLiteral: $0), $1) })),
            platformOptions: options, input: .none, output: .discarded, error: .sequence
        ) { execution in
            let outcome = try await withThrowingTaskGroup(of: Value.self) { group in
                group.addTask {
                    await log.read(execution.standardError)
                    try Task.checkCancellation()
                    throw BenchError.serverEnded(name: name, lines: log.lines)
                }
                group.addTask {
                    try await whenReady(target, log)
                    return try await body(target)
                }
                defer { group.cancelAll() }
                guard let value = try await group.next() else { throw CancellationError() }
                return value
            }
            await execution.teardown(using: steps)
            return outcome
        }
        return result.closureResult
    }

    private func whenReady(_ target: LoadTarget, _ log: LogTail) async throws {
        let clock = ContinuousClock()
        let deadline = clock.now.advanced(by: .seconds(BenchLimits.readySeconds))
        while clock.now < deadline {
            if try await isReady(target) { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw BenchError.notReady(name: name, seconds: BenchLimits.readySeconds, lines: log.lines)
    }

    private func isReady(_ target: LoadTarget) async throws -> Bool {
        // Nobody listens yet.
        guard let connection = try? await LoadConnection.open(target) else { return false }
        defer { connection.close() }
        return try await connection.answer(to: LoadRequest(readyPath)).status == 200
    }

    /// A port nobody listens at; llama-server cannot tell a script which one it chose.
    private static func freePort(_ eventLoop: any EventLoop) async throws -> Int {
        let channel = try await ServerBootstrap(group: eventLoop).bind(host: "127.0.0.1", port: 0).get()
        let port = channel.localAddress?.port
        try await channel.close()
        guard let port else { throw BenchError.notReady(name: "loopback", seconds: 0, lines: []) }
        return port
    }
}

/// The last lines a server wrote.
private final class LogTail: Sendable {
    private let kept = Mutex<[String]>([])

    var lines: [String] { kept.withLock { $0 } }

    /// Reads to the end, which is the end of the process.
    func read(_ output: SubprocessOutputSequence) async {
        do {
            for try await line in output.strings(bufferingPolicy: .maxLineLength(BenchLimits.logLineBytes)) {
                kept.withLock { lines in
                    lines.append(String(line.prefix(512)))
                    if lines.count > BenchLimits.logLines { lines.removeFirst() }
                }
            }
        } catch {
            kept.withLock { $0.append("its log could not be read: \(error)") }
        }
    }
}
