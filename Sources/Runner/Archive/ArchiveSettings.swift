import LlamaEngine
import Vocabulary

/// Where a runner keeps sequences on disk.
package struct ArchiveSettings: Hashable, Sendable, Codable {
    /// Folder of all runners of this machine; it is made when it is missing.
    package var folder: String
    /// Most bytes of all files below the folder. **Units:** bytes.
    package var byteLimit: UInt64

    /// Makes settings.
    package init(folder: String, byteLimit: UInt64) {
        self.folder = folder
        self.byteLimit = byteLimit
    }
}

/// Bounds of sequences on disk.
package enum ArchiveLimits {
    /// Smallest `byteLimit` that is of any use. **Units:** bytes.
    package static let smallest: UInt64 = 1 << 20
    /// Largest `byteLimit`. **Units:** bytes.
    package static let largest: UInt64 = 1 << 50
    /// Writes and reads that may wait for the disk at once; the entry's brain has one of each under way.
    static let waiting = 16
    /// Files of one folder that are looked at.
    static let files = 100_000
    /// Bytes handed to the system in one call. **Units:** bytes.
    static let chunkBytes = 4 << 20
}

/// Under what a state can be read again. Two stages with the same identity understand each other's bytes.
struct ArchiveIdentity: Hashable, Sendable {
    /// Version of the files' layout.
    static let format = 1
    /// SHA-256 over everything that matters. **Shape:** 32 bytes.
    let digest: [UInt8]

    /// The identity of the stage that is configured, with the engine library of that version.
    init(_ configuration: RunnerConfiguration, width: Int, engine: String) {
        // Where prompts pause changes nothing of what is kept of them.
        var recipe = configuration.recipe
        recipe.layerOutput = nil
        let facts = [
            "format \(Self.format)", engine, configuration.modelDigest, "\(configuration.stages)",
            "\(configuration.stageIndex)", "\(width)", "\(recipe)", configuration.keyType.rawValue,
            configuration.valueType.rawValue, "\(configuration.prefixReuse)",
        ]
        digest = SecureDigest.of(Array(facts.joined(separator: "\n").utf8))
    }

    /// Name of the stage's folder.
    func folderName(stage: Int) -> String { "\(Hexadecimal.text(digest.prefix(16)))-\(stage)" }
}
