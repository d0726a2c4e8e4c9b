import Cluster

/// What a cluster agreed to call a model's content.
struct ModelIdentity: Sendable, Hashable {
    /// SHA-256 of the uncut file, lower-case hexadecimal.
    var digest: String
    /// Root of the digests of its blocks, by which parts are checked; empty where nobody told it, and then the first
    /// holder that is asked does.
    var blocks = ""
}

extension Deployment {
    /// The model that was agreed on.
    var identity: ModelIdentity { ModelIdentity(digest: digest, blocks: blocks) }

    /// The projector that was agreed on; nil for text alone.
    var projectorIdentity: ModelIdentity? {
        projector.isEmpty ? nil : ModelIdentity(digest: projector, blocks: projectorBlocks)
    }
}
