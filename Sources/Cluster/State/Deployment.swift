package import Vocabulary

/// What the user wants served.
package struct Deployment: Hashable, Sendable, Recordable {
    /// The name clients use, unique in the cluster.
    package var name: String
    /// The model: a name of the store, or a path every node knows.
    package var model: String
    /// Content digest of the model, empty while it is not known.
    package var digest: String = ""
    /// Complete copies wanted.
    package var replicas: Int = 1
    /// Context asked for, in tokens; nil leaves it to the planner.
    package var contextTokens: UInt64?
    /// Lanes asked for; nil leaves it to the planner.
    package var lanes: UInt64?
    /// Stages asked for; nil leaves it to the planner.
    package var stages: UInt64?
    /// Only these nodes may run it; empty means any.
    package var pinned: [NodeID] = []
    /// These nodes may not run it.
    package var excluded: [NodeID] = []
    /// Tags every node of it must have, sorted.
    package var requiredTags: [String] = []
    /// Unload after this long without a request; nil keeps it loaded. **Units:** milliseconds.
    package var keepAliveMilliseconds: UInt64?
    /// Made by a first request, not by a person.
    package var isAutomatic = false
    /// How tokens are guessed ahead: `off`, `ngram`, `mtp`, the digest of a draft model, or empty for what the node
    /// that runs the entry stage finds best.
    package var draft: String = ""
    /// When this was said; the latest wins.
    package var stamp = Stamp.zero
    /// Tags the planner prefers nodes to have, sorted; others are taken when it does not fit there.
    package var preferredTags: [String] = []
    /// When stages were last asked for: `stamp`, unless only the time it stays loaded changed since. Stages made for
    /// another wish are replaced.
    package var wish = Stamp.zero
    /// Root of the digests of the model's blocks, by which nodes check the parts they fetch; empty while it is not
    /// known.
    package var blocks: String = ""
    /// Other names clients may use, unique in the cluster as the name is.
    package var aliases: [String] = []
    /// Where the model's file comes from, as in `org/repo@revision:quantisation`.
    package var sources: [String] = []
    /// How the model's weights are stored; empty while it is not known.
    package var quantization: String = ""
    /// The digest of the projector's file, with which the model reads images; empty for text alone. In a wish that its
    /// node has not completed yet, a name or a path.
    package var projector: String = ""
    /// Root of the digests of the projector's blocks, as `blocks` is of the model's.
    package var projectorBlocks: String = ""
    /// What keys are stored in; nil takes what the model allows.
    package var cacheKeys: CacheFormat?
    /// What values are stored in; nil as for keys.
    package var cacheValues: CacheFormat?

    /// What `draft` can be beside a digest.
    package static let draftWords = ["off", "ngram", headsWord]

    private static let headsWord = "mtp"

    /// Whether the model's own head for several tokens guesses, on the last stage.
    package var usesHeads: Bool { draft == Self.headsWord }

    /// The digest of the draft model; nil when none is named.
    package var draftDigest: String? { draft.isEmpty || Self.draftWords.contains(draft) ? nil : draft }

    /// Makes a wish for one replica without constraints.
    package init(name: String, model: String) {
        self.name = name
        self.model = model
    }

    func write(to writer: inout RecordWriter) {
        writer.put(name)
        writer.put(model)
        writer.put(digest)
        writer.put(count: replicas)
        writer.put(optional: contextTokens)
        writer.put(optional: lanes)
        writer.put(optional: stages)
        writer.put(list: pinned)
        writer.put(list: excluded)
        writer.put(texts: requiredTags)
        writer.put(optional: keepAliveMilliseconds)
        writer.put(isAutomatic)
        writer.put(draft)
        writer.put(stamp)
        writer.put(texts: preferredTags)
        writer.put(wish)
        // Written only where it is known, as older nodes would.
        let isStored = cacheKeys != nil || cacheValues != nil
        let sees = isStored || !projector.isEmpty
        let isNamed = sees || !aliases.isEmpty || !sources.isEmpty || !quantization.isEmpty
        guard isNamed || !blocks.isEmpty else { return }
        writer.put(blocks)
        guard isNamed else { return }
        writer.put(texts: aliases)
        writer.put(texts: sources)
        writer.put(quantization)
        guard sees else { return }
        writer.put(projector)
        writer.put(projectorBlocks)
        guard isStored else { return }
        writer.put(cacheKeys?.rawValue ?? "")
        writer.put(cacheValues?.rawValue ?? "")
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        name = try reader.text("deployment.name")
        model = try reader.text("deployment.model")
        digest = try reader.text("deployment.digest")
        replicas = try reader.count("deployment.replicas", limit: Limits.replicaCount)
        contextTokens = try reader.optionalNumber("deployment.context")
        lanes = try reader.optionalNumber("deployment.lanes")
        stages = try reader.optionalNumber("deployment.stages")
        pinned = try reader.list("deployment.pinned", limit: Limits.listCount)
        excluded = try reader.list("deployment.excluded", limit: Limits.listCount)
        requiredTags = try reader.texts("deployment.tags")
        keepAliveMilliseconds = try reader.optionalNumber("deployment.keepAlive")
        isAutomatic = try reader.bool("deployment.automatic")
        draft = try reader.text("deployment.draft")
        stamp = try reader.record("deployment.stamp")
        // Older nodes know neither, and ask for new stages with everything they say.
        preferredTags = reader.isAtEnd ? [] : try reader.texts("deployment.preferred")
        wish = reader.isAtEnd ? stamp : try reader.record("deployment.wish")
        blocks = reader.isAtEnd ? "" : try reader.text("deployment.blocks")
        aliases = reader.isAtEnd ? [] : try reader.texts("deployment.aliases")
        sources = reader.isAtEnd ? [] : try reader.texts("deployment.sources")
        quantization = reader.isAtEnd ? "" : try reader.text("deployment.quantization")
        projector = reader.isAtEnd ? "" : try reader.text("deployment.projector")
        projectorBlocks = reader.isAtEnd ? "" : try reader.text("deployment.projectorBlocks")
        // What a newer node may store a cache in is, to this one, what the model allows.
        cacheKeys = reader.isAtEnd ? nil : CacheFormat(rawValue: try reader.text("deployment.cacheKeys"))
        cacheValues = reader.isAtEnd ? nil : CacheFormat(rawValue: try reader.text("deployment.cacheValues"))
    }
}

/// One of the complete copies of a deployment.
package struct ReplicaKey: Hashable, Sendable, Comparable, CustomStringConvertible, Recordable {
    /// The deployment's name.
    package let deployment: String
    /// 0 ..< replicas.
    package let index: Int

    /// Makes (deployment, index).
    package init(deployment: String, index: Int) {
        self.deployment = deployment
        self.index = index
    }

    /// `name#index`.
    package var description: String { "\(deployment)#\(index)" }

    /// Orders by name, then index.
    package static func < (left: ReplicaKey, right: ReplicaKey) -> Bool {
        (left.deployment, left.index) < (right.deployment, right.index)
    }

    func write(to writer: inout RecordWriter) {
        writer.put(deployment)
        writer.put(count: index)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        deployment = try reader.text("replica.deployment")
        index = try reader.count("replica.index", limit: Limits.replicaCount)
    }
}

/// A value the operator set for the whole cluster.
package struct Setting: Hashable, Sendable, Recordable {
    /// The value; nil removes it (and keeps the stamp).
    package var value: String?
    /// When this was said; the latest wins.
    package var stamp: Stamp

    func write(to writer: inout RecordWriter) {
        writer.put(value != nil)
        writer.put(value ?? "")
        writer.put(stamp)
    }

    /// Makes a setting.
    package init(value: String?, stamp: Stamp) {
        self.value = value
        self.stamp = stamp
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        let exists = try reader.bool("setting.exists")
        let text = try reader.text("setting.value")
        value = exists ? text : nil
        stamp = try reader.record("setting.stamp")
    }
}
