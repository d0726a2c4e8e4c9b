import FoundationEssentials
import Subprocess
import SystemPackage

/// Runs llama-bench of the same engine build, for ratios within one run.
struct PeerBench: Sendable {
    let folder: String
    let model: String
    let threads: Int

    private struct Row: Decodable {
        var avg_ts: Double
    }

    /// Tokens per second of one repetition: decoding `decode` tokens, or prefilling `prefill`.
    func tokensPerSecond(prefill: Int, decode: Int) async throws -> Double {
        let arguments: Arguments = [
            "-m", model, "-t", "\(threads)", "-p", "\(prefill)", "-n", "\(decode)", "-r", "1", "-o", "json",
        ]
        let result = try await Subprocess.run(
            .path(FilePath("\(folder)/llama-bench")), arguments: arguments, output: .bytes(limit: 1 << 20))
        guard case .exited(0) = result.terminationStatus,
            let row = try? JSONDecoder().decode([Row].self, from: Data(result.standardOutput)).first
        else { throw DeploymentError.setting(name: "--peer", value: folder, limit: "llama-bench there did not run") }
        return row.avg_ts
    }
}
