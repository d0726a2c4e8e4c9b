import Crypto
import FoundationEssentials
import ModelStore
import Vocabulary

/// What was measured of this machine's device, kept between starts in one small file.
///
/// It counts only for the machine it was measured on: the file names the fingerprint of that machine, and a digest of
/// all it says, so that neither another engine nor a damaged byte is taken for a measurement.
package struct DeviceFigureFile: Sendable {
    /// A file that is longer is not ours. **Units:** bytes.
    private static let byteLimit = 16 << 10

    /// What the file holds.
    package enum Content: Hashable, Sendable {
        /// Figures of the machine that was asked for.
        case known(DeviceFigures)
        /// Nothing, or figures of another machine.
        case none
        /// Something that is no measurement, one sentence fragment.
        case damaged(String)
    }

    private struct Record: Codable {
        var fingerprint: String
        var figures: DeviceFigures
        /// Of the two above, in hexadecimal digits.
        var digest: String
    }

    private let path: String

    /// Keeps figures in the node's data folder.
    package init(dataFolder: String) { path = "\(dataFolder)/device.json" }

    /// What is known of the machine with `fingerprint`.
    package func content(of fingerprint: MachineFingerprint) -> Content {
        guard FileManager.default.fileExists(atPath: path) else { return .none }
        guard let data = FileManager.default.contents(atPath: path) else { return .damaged("it cannot be read") }
        guard data.count <= Self.byteLimit else { return .damaged("it has \(data.count) bytes") }
        guard let record = try? JSONDecoder().decode(Record.self, from: data) else {
            return .damaged("it is no record")
        }
        guard record.digest == Self.digest(record.fingerprint, record.figures) else {
            return .damaged("its digest is another one")
        }
        guard record.figures.isPlausible else { return .damaged("no machine has such figures") }
        return record.fingerprint == fingerprint.digest ? .known(record.figures) : .none
    }

    /// Replaces what the file holds, whole or not at all.
    ///
    /// **Throws:** `CocoaError` or `StoreError` when it cannot be written.
    package func remember(_ figures: DeviceFigures, of fingerprint: MachineFingerprint) throws {
        let record = Record(
            fingerprint: fingerprint.digest, figures: figures, digest: Self.digest(fingerprint.digest, figures))
        if let slash = path.lastIndex(of: "/") { try StoreFiles.makeFolders(String(path[..<slash])) }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        try encoder.encode(record).write(to: URL(filePath: path), options: .atomic)
    }

    private static func digest(_ fingerprint: String, _ figures: DeviceFigures) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        let text = (try? encoder.encode(figures)) ?? Data()
        return Hexadecimal.text(SHA256.hash(data: Data(fingerprint.utf8) + text))
    }
}
