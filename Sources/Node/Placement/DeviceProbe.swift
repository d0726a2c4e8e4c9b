import FoundationEssentials
package import LlamaEngine
import Logging
import Placement
import Subprocess
import SystemPackage

/// What the engine can compute on here and how fast, asked of a process of its own: a driver's context, once it is
/// open, stays as long as the process that opened it, as does memory that was measured with, and the node shall hold
/// none.
package enum DeviceProbe {
    /// The subcommand that prints the devices as JSON.
    package static let command = "devices"
    /// How long a driver may take to start. **Units:** seconds.
    private static let patience = Duration.seconds(20)
    /// How long measuring may take, which takes a second where nobody else computes.
    package static let surveyPatience = Duration.seconds(15)
    /// Longest answer that is believed. **Units:** bytes.
    private static let answerBytes = 256 << 10

    /// Why a process told nothing.
    package struct Silence: Error, Hashable, Sendable, CustomStringConvertible {
        /// One sentence fragment.
        package let description: String
    }

    /// The devices; nil when the process does not tell.
    static func devices(_ executable: String, logger: Logger) async -> [EngineDevice]? {
        switch await ask(executable, ["--json"], as: [EngineDevice].self, patience: patience) {
        case .success(let devices): return devices
        case .failure(let silence):
            logger.warning("the engine's devices are not known", metadata: ["why": "\(silence)"])
            return nil
        }
    }

    /// Has `device` measured, the processor when it is nil; takes about a second.
    package static func survey(
        _ executable: String, device: String?, threads: Int, patience: Duration = surveyPatience
    ) async -> Result<DeviceFigures, Silence> {
        var arguments = ["--speed", "--json", "--threads", "\(threads)"]
        if let device { arguments += ["--device", device] }
        let answer = await ask(executable, arguments, as: DeviceFigures.self, patience: patience)
        guard case .success(let figures) = answer, !figures.isPlausible else { return answer }
        return .failure(Silence(description: "the figures are none that a machine can have"))
    }

    private static func ask<Answer: Decodable & Sendable>(
        _ executable: String, _ arguments: [String], as type: Answer.Type, patience: Duration
    ) async -> Result<Answer, Silence> {
        await withTaskGroup(of: Result<Answer, Silence>.self) { group in
            group.addTask { await ask(executable, arguments) }
            group.addTask {
                try? await Task.sleep(for: patience)
                return .failure(Silence(description: "it took longer than \(patience)"))
            }
            // Cancelling ends the process.
            defer { group.cancelAll() }
            return await group.next() ?? .failure(Silence(description: "nobody was asked"))
        }
    }

    private static func ask<Answer: Decodable & Sendable>(
        _ executable: String, _ arguments: [String]
    ) async -> Result<Answer, Silence> {
        do {
            let result = try await Subprocess.run(
                .path(FilePath(executable)), arguments: Arguments([command] + arguments), input: .none,
                output: .bytes(limit: answerBytes), error: .discarded)
            guard case .exited(0) = result.terminationStatus else {
                return .failure(Silence(description: "\(result.terminationStatus)"))
            }
            return .success(try JSONDecoder().decode(Answer.self, from: Data(result.standardOutput)))
        } catch {
            return .failure(Silence(description: "\(error)"))
        }
    }

    /// Capability tags of devices, `engine-compute`, sorted.
    package static func tags(of devices: [EngineDevice]) -> [String] {
        Set(devices.map { DeviceInventory.tag(ofKind: $0.compute) }).sorted()
    }
}
