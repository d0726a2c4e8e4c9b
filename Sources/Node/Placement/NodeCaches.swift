package import ModelStore
package import Vocabulary

/// What a node keeps between starts because it takes time to make again; all of it may be deleted while no node runs.
package struct NodeCaches: Sendable {
    /// Stage files cut from models.
    package let stages: StageFileCache
    /// Models fetched from other members, whole and in parts.
    package let fetched: FileShelf
    /// Digests of model files.
    package let digests: DigestCache
    /// Costs of steps.
    package let costs: StepCostCache
    /// Where all of it is.
    let folder: String

    /// Where sequences of ended requests are kept on disk below the cache folder `folder`.
    package static func prefixFolder(of folder: String) -> String { "\(folder)/prefixes" }

    /// The caches below `folder`; fetched models make way for others from `fetchedLimit` on.
    package init(folder: String, fetchedLimit: ByteCount = FileShelf.defaultByteLimit) {
        self.folder = folder
        stages = StageFileCache(folder: "\(folder)/stages")
        fetched = .fetchedModels(folder: "\(folder)/models", byteLimit: fetchedLimit)
        digests = DigestCache(folder: "\(folder)/digests")
        costs = StepCostCache(folder: "\(folder)/costs")
    }
}
