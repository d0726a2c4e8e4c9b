import Crypto
import FoundationEssentials
import LlamaEngine
import Runner
import Serving
import Vocabulary

/// What the steps of stages cost on this machine, remembered between starts: a small file per stage and setting.
///
/// Everything that moves the cost is in the file's name; what is not known by its name is timed anew. Losing a file
/// costs a second of timing, so failures are no errors.
package struct StepCostCache: Sendable {
    /// A file that is longer is not ours. **Units:** bytes.
    private static let byteLimit = 64 << 10
    /// Starts that time the steps before the figures are relied upon: a busy machine may have spoilt one of them, and
    /// the shortest time of each row count is kept.
    private static let timedStarts = 3

    private struct Record: Codable {
        var starts: Int
        var points: [StepCosts.Point]
    }

    private let folder: String

    /// Remembers costs in `folder`.
    package init(folder: String) { self.folder = folder }

    /// The costs of a stage that was timed before under the same conditions; nil when it was not.
    func costs(of stage: RunnerConfiguration) -> StepCosts? {
        guard let record = record(of: stage), record.starts >= Self.timedStarts else { return nil }
        return StepCosts(record.points)
    }

    private func record(of stage: RunnerConfiguration) -> Record? {
        guard let data = FileManager.default.contents(atPath: path(of: stage)), data.count <= Self.byteLimit
        else { return nil }
        return try? JSONDecoder().decode(Record.self, from: data)
    }

    /// Adds what a stage measured.
    func remember(_ costs: StepCosts, of stage: RunnerConfiguration) {
        let files = FileManager.default
        try? files.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let known = record(of: stage) ?? Record(starts: 0, points: [])
        guard let merged = StepCosts(known.points + costs.points),
            let data = try? JSONEncoder().encode(Record(starts: known.starts + 1, points: merged.points))
        else { return }
        try? data.write(to: URL(filePath: path(of: stage)), options: .atomic)
    }

    private func path(of stage: RunnerConfiguration) -> String {
        let conditions =
            [
                MachineInventory.fingerprint, LlamaLibrary.build, stage.modelDigest, "\(stage.layers)",
                "\(stage.threads)",
                "\(stage.laneCount + stage.shelfCount)", "\(stage.rowLimit)", "\(stage.cellCount)",
                "\(stage.keyType)", "\(stage.valueType)", "\(stage.gpuLayers)",
                stage.devices?.joined(separator: ",") ?? "",
            ] + (stage.usesHeads ? ["heads"] : [])
        let digest = SHA256.hash(data: Data(conditions.joined(separator: "\n").utf8))
        return "\(folder)/\(Hexadecimal.text(digest.prefix(16))).json"
    }
}
