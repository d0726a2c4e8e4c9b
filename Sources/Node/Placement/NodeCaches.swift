package import ModelStore

/// What a node keeps between starts because it takes time to make again; all of it may be deleted while no node runs.
package struct NodeCaches: Sendable {
    /// Stage files cut from models.
    package let stages: StageFileCache
    /// Digests of model files.
    package let digests: DigestCache
    /// Costs of steps.
    package let costs: StepCostCache
    /// Where all of it is.
    let folder: String

    /// Where sequences of ended requests are kept on disk below the cache folder `folder`.
    package static func prefixFolder(of folder: String) -> String { "\(folder)/prefixes" }

    /// The caches below `folder`.
    package init(folder: String) {
        self.folder = folder
        stages = StageFileCache(folder: "\(folder)/stages")
        digests = DigestCache(folder: "\(folder)/digests")
        costs = StepCostCache(folder: "\(folder)/costs")
    }
}
