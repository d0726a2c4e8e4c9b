import FoundationEssentials
import Logging
import Runner
import Subprocess
import SystemPackage

/// How a runner's process ended.
package enum RunnerExit: Hashable, Sendable, CustomStringConvertible {
    /// It ended by itself with this code.
    case exited(code: Int32)
    /// A signal ended it.
    case crashed(signal: Int32)
    /// It could not be started.
    case notStarted(reason: String)
    /// The node stopped it.
    case stopped

    /// A sentence fragment.
    package var description: String {
        switch self {
        case .exited(let code): "its process ended with code \(code)"
        case .crashed(let signal): "its process was killed by signal \(signal)"
        case .notStarted(let reason): "its process could not be started: \(reason)"
        case .stopped: "it was stopped"
        }
    }
}

/// One runner process: this binary again, as `skein runner`.
struct RunnerProcess: Sendable {
    /// Standard error kept for the reason of a crash. **Units:** lines.
    static let keptLogLines = 20
    /// A line of the runner's output is at most this long. **Units:** bytes.
    static let lineByteLimit = 1 << 20

    /// What runners get beside the node's own environment; what that says counts.
    ///
    /// Swift's backtracer would keep a crashed runner, and with it its open links, alive for the half minute that it
    /// reads symbols; a crash must be noticed at once. And the GNU library is asked for huge pages: a sequence's cells
    /// lie scattered over gigabytes, and sixteen streams decode 3 % more tokens (docs/internals/llama-engine.md).
    private static var environment: Environment {
        let own = ProcessInfo.processInfo.environment
        var additions: [Environment.Key: String?] = [:]
        if own["SWIFT_BACKTRACE"] == nil { additions["SWIFT_BACKTRACE"] = "enable=no" }
        if own["GLIBC_TUNABLES"] == nil { additions["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1" }
        return .inherit.updating(additions)
    }

    let executable: String
    let configuration: RunnerConfiguration
    let logger: Logger

    /// Runs the process to its end. Cancelling the task asks it to terminate and, two seconds later, kills it.
    ///
    /// The runner ends when its standard input does, so a node that dies takes its runners along.
    func run(
        commands: AsyncStream<RunnerCommand>, report: @escaping @Sendable (RunnerReport) -> Void
    ) async -> RunnerExit {
        var options = PlatformOptions()
        options.teardownSequence = [.send(signal: .terminate, allowedDurationToNextStep: .seconds(2))]
        do {
            let result = try await Subprocess.run(
                .path(FilePath(executable)), arguments: ["runner"], environment: Self.environment,
                platformOptions: options,
                input: .inputWriter, output: .sequence, error: .sequence
            ) { execution in
                await withTaskGroup(of: Void.self) { group in
                    group.addTask { await read(execution.standardOutput, report: report) }
                    group.addTask { await log(execution.standardError) }
                    group.addTask { await write(commands, to: execution.standardInputWriter) }
                    // The process is over when both of its outputs are; then nobody needs its input any more.
                    await group.next()
                    await group.next()
                    group.cancelAll()
                }
            }
            switch result.terminationStatus {
            case .exited(let code): return .exited(code: Int32(code))
            case .signaled(let signal): return .crashed(signal: Int32(signal))
            }
        } catch is CancellationError {
            return .stopped
        } catch {
            return Task.isCancelled ? .stopped : .notStarted(reason: "\(error)")
        }
    }

    private func write(_ commands: AsyncStream<RunnerCommand>, to input: StandardInputWriter) async {
        do {
            try await Self.send(.configure(configuration), to: input)
            for await command in commands { try await Self.send(command, to: input) }
            // The input stays open as long as the runner should live.
            if Task.isCancelled { try await input.finish() }
        } catch {
            logger.debug("a runner no longer reads its input", metadata: ["stage.index": "\(configuration.stageIndex)"])
        }
    }

    private static func send(_ command: RunnerCommand, to input: StandardInputWriter) async throws {
        var line = try Array(JSONEncoder().encode(command))
        line.append(UInt8(ascii: "\n"))
        _ = try await input.write(line)
    }

    private func read(_ output: SubprocessOutputSequence, report: @Sendable (RunnerReport) -> Void) async {
        do {
            for try await line in output.strings(bufferingPolicy: .maxLineLength(Self.lineByteLimit)) {
                guard let decoded = try? JSONDecoder().decode(RunnerReport.self, from: Data(line.utf8)) else {
                    logger.warning(
                        "a runner wrote a line that is no report", metadata: ["line.length": "\(line.count)"])
                    continue
                }
                report(decoded)
            }
        } catch {
            logger.debug("a runner's output ended", metadata: ["reason": "\(error)"])
        }
    }

    private func log(_ output: SubprocessOutputSequence) async {
        do {
            for try await line in output.strings(bufferingPolicy: .maxLineLength(Self.lineByteLimit)) {
                logger.info(
                    "runner", metadata: ["stage.index": "\(configuration.stageIndex)", "line": "\(line.prefix(512))"])
            }
        } catch {
            logger.debug("a runner's log ended", metadata: ["reason": "\(error)"])
        }
    }
}
