import Cluster
import Dialects
import Vocabulary

/// A deployment as clients write it.
enum DeploymentWish {
    private static let keys = [
        "name", "model", "replicas", "context_tokens", "lanes", "stages", "pinned", "excluded", "required_tags",
        "preferred_tags", "keep_alive_seconds", "draft", "projector", "aliases", "sources",
        "cache_type_k", "cache_type_v",
    ]

    static func read(_ body: JSONNode) throws(ClusterRefusal) -> Deployment {
        guard let members = body.members else { throw invalid("The body is \(body.kind); it must be an object.") }
        if let other = members.first(where: { !keys.contains($0.key) }) {
            throw invalid("'\(other.key)' is not known; allowed: \(keys.joined(separator: ", ")).")
        }
        guard let model = try text("model", body) else { throw invalid("'model' is missing; name a model.") }
        var deployment = Deployment(name: try text("name", body) ?? model, model: model)
        if let replicas = try number("replicas", body, 1...UInt64(Cluster.Limits.replicaCount)) {
            deployment.replicas = Int(replicas)
        }
        deployment.contextTokens = try number("context_tokens", body, 1...(1 << 24))
        deployment.lanes = try number("lanes", body, 1...256)
        deployment.stages = try number("stages", body, 1...UInt64(Cluster.Limits.stageCount))
        deployment.pinned = try nodes("pinned", body)
        deployment.excluded = try nodes("excluded", body)
        deployment.requiredTags = try texts("required_tags", body).sorted()
        deployment.preferredTags = try texts("preferred_tags", body).sorted()
        deployment.keepAliveMilliseconds = try number("keep_alive_seconds", body, 1...(1 << 32)).map { $0 * 1000 }
        (deployment.aliases, deployment.sources) = (try texts("aliases", body), try texts("sources", body))
        try check(deployment)
        if let draft = try text("draft", body), draft != "auto" { deployment.draft = draft }
        if let projector = try text("projector", body), projector != "auto" { deployment.projector = projector }
        deployment.cacheKeys = try format("cache_type_k", body)
        deployment.cacheValues = try format("cache_type_v", body)
        return deployment
    }

    /// What the cache is stored in; nil where nothing is said, or `auto`.
    private static func format(_ key: String, _ body: JSONNode) throws(ClusterRefusal) -> CacheFormat? {
        guard let text = try text(key, body), text != "auto" else { return nil }
        guard let format = CacheFormat(rawValue: text) else {
            throw invalid("'\(key)' is '\(text.prefix(80))'; allowed: auto, \(CacheFormat.names).")
        }
        return format
    }

    /// Names that clients could not ask by, and origins that mean nothing, are refused.
    private static func check(_ deployment: Deployment) throws(ClusterRefusal) {
        for (key, count, limit) in [
            ("aliases", deployment.aliases.count, ModelReference.aliasLimit),
            ("sources", deployment.sources.count, ModelSource.countLimit),
        ] where count > limit {
            throw invalid("'\(key)' has \(count) entries; at most \(limit) are kept.")
        }
        do throws(ModelNameError) {
            for alias in deployment.aliases { try ModelReference.check(newName: alias) }
            for source in deployment.sources { _ = try ModelSource(source) }
            // What is no name of its own is a reference or a path, and the model's own name takes its place.
            if deployment.name != deployment.model { try ModelReference.check(newName: deployment.name) }
        } catch {
            throw invalid(error.description)
        }
    }

    private static func invalid(_ message: String) -> ClusterRefusal { ClusterRefusal(400, "invalid", message) }

    private static func text(_ key: String, _ body: JSONNode) throws(ClusterRefusal) -> String? {
        guard let node = body[key], !node.isNull else { return nil }
        guard let text = node.string, !text.isEmpty else {
            throw invalid("'\(key)' is \(node.kind); it must be a text that is not empty.")
        }
        return text
    }

    private static func number(
        _ key: String, _ body: JSONNode, _ range: ClosedRange<UInt64>
    ) throws(ClusterRefusal) -> UInt64? {
        guard let node = body[key], !node.isNull else { return nil }
        guard let number = node.number.flatMap({ UInt64($0.description) }), range.contains(number) else {
            let found = node.number.map { $0.description } ?? node.kind
            throw invalid("'\(key)' is \(found); it must be an integer in \(range.lowerBound) … \(range.upperBound).")
        }
        return number
    }

    private static func texts(_ key: String, _ body: JSONNode) throws(ClusterRefusal) -> [String] {
        guard let node = body[key], !node.isNull else { return [] }
        guard let items = node.array, items.count <= Cluster.Limits.listCount else {
            throw invalid("'\(key)' must be a list of at most \(Cluster.Limits.listCount) texts.")
        }
        let texts = items.compactMap(\.string)
        guard texts.count == items.count else { throw invalid("'\(key)' must be a list of texts.") }
        return texts
    }

    private static func nodes(_ key: String, _ body: JSONNode) throws(ClusterRefusal) -> [NodeID] {
        let texts = try texts(key, body)
        let nodes = texts.compactMap { $0.utf8.count == 16 ? UInt64($0, radix: 16).map { NodeID($0) } : nil }
        guard nodes.count == texts.count else { throw invalid("'\(key)' must be a list of node ids.") }
        return nodes
    }
}
