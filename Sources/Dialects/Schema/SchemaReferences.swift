/// Where the references of a JSON Schema lead.
///
/// **Source:** JSON Schema 2020-12, Core, 8.2.3.1.
enum SchemaReferences {
    /// What a reference within the document `root` points to; nil when there is no such thing.
    static func target(of reference: String, in root: JSONNode) -> JSONNode? {
        guard reference.hasPrefix("#") else { return nil }
        var node: JSONNode? = root
        for part in reference.dropFirst().split(separator: "/") {
            var key = String(part)
            for (escape, meaning) in [("~1", "/"), ("~0", "~")] { key = replaced(key, escape, meaning) }
            node = node?[key] ?? Int(key).flatMap { node?[$0] }
        }
        return node
    }

    private static func replaced(_ text: String, _ old: String, _ new: String) -> String {
        text.split(separator: old, omittingEmptySubsequences: false).joined(separator: new)
    }

    /// A reference that leads to a reference, and so on, back to itself: it says nothing, and who follows it to its end
    /// never gets there, as the engine's library does. Nil when there is none.
    ///
    /// References that lead back from within what they point to are fine: so lists and trees are described.
    static func loop(in root: JSONNode) -> String? {
        // References that were followed to an end.
        var ended: Set<String> = []
        for first in all(in: root) {
            var path: Set<String> = []
            var next: String? = first
            while let reference = next, !ended.contains(reference) {
                guard path.insert(reference).inserted else { return reference }
                next = target(of: reference, in: root)?["$ref"]?.string
            }
            ended.formUnion(path)
        }
        return nil
    }

    /// All references, wherever they stand.
    private static func all(in root: JSONNode) -> [String] {
        var found: [String] = []
        var rest = [root]
        while let node = rest.popLast() {
            if let reference = node["$ref"]?.string { found.append(reference) }
            rest += node.array ?? (node.members ?? []).map(\.value)
        }
        return found
    }
}
