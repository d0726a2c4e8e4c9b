import FoundationEssentials
package import LlamaEngine
import Logging
import Subprocess
import SystemPackage

/// What the engine can compute on here, asked of a process of its own: a driver's context, once it is open, stays as
/// long as the process that opened it, and the node shall hold none.
package enum DeviceProbe {
    /// The subcommand that prints the devices as JSON.
    package static let command = "devices"
    /// How long a driver may take to start. **Units:** seconds.
    private static let patienceSeconds = 20
    /// Longest list that is believed. **Units:** bytes.
    private static let listBytes = 256 << 10

    /// The devices; nil when the process does not tell.
    static func devices(_ executable: String, logger: Logger) async -> [EngineDevice]? {
        await withTaskGroup(of: [EngineDevice]?.self) { group in
            group.addTask { await ask(executable, logger) }
            group.addTask {
                try? await Task.sleep(for: .seconds(patienceSeconds))
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }

    private static func ask(_ executable: String, _ logger: Logger) async -> [EngineDevice]? {
        do {
            let result = try await Subprocess.run(
                .path(FilePath(executable)), arguments: [command, "--json"], input: .none,
                output: .bytes(limit: listBytes), error: .discarded)
            guard case .exited(0) = result.terminationStatus else {
                logger.warning(
                    "the engine's devices are not known", metadata: ["why": "\(result.terminationStatus)"])
                return nil
            }
            return try JSONDecoder().decode([EngineDevice].self, from: Data(result.standardOutput))
        } catch {
            logger.warning("the engine's devices are not known", metadata: ["why": "\(error)"])
            return nil
        }
    }

    /// Capability tags of devices, `engine-compute`, sorted.
    package static func tags(of devices: [EngineDevice]) -> [String] {
        Set(devices.map { "llama-\($0.compute)" }).sorted()
    }
}
