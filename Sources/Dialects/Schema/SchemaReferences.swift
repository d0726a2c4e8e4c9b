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

    /// Why the engine's library would not survive to follow the references of a schema; nil when it would. They may
    /// lead back from within what they point to: so lists and trees are described.
    static func fault(of root: JSONNode) -> (value: String, expected: String)? {
        let references = Set(SchemaBounds.schemas(in: root).compactMap { $0["$ref"]?.string })
        // One resolved within the other, each takes two kilobytes of a thread's stack.
        guard references.count <= Limits.schemaReferences else {
            return ("\(references.count) different $ref", "at most \(Limits.schemaReferences)")
        }
        // A reference that leads to a reference, and so on, back to itself says nothing, and has no end.
        var ended: Set<String> = []
        for first in references.sorted() {
            var path: Set<String> = []
            var next: String? = first
            while let reference = next, !ended.contains(reference) {
                guard path.insert(reference).inserted else {
                    return ("$ref: \(reference)", "a reference that leads to something else than references")
                }
                next = engineTarget(of: reference, in: root)?["$ref"]?.string
            }
            ended.formUnion(path)
        }
        return nil
    }

    /// What the engine's library takes a reference for: it knows no escapes, keeps empty parts, and reads of an index
    /// what is a number. **Source:** `resolve_ref` of llama.cpp's common/json-schema.cpp.
    private static func engineTarget(of reference: String, in root: JSONNode) -> JSONNode? {
        guard reference.hasPrefix("#/") else { return nil }
        var node = root
        for part in reference.dropFirst(2).split(separator: "/", omittingEmptySubsequences: false) {
            if let member = node[String(part)] {
                node = member
            } else if let elements = node.array, let index = leadingNumber(part), elements.indices.contains(index) {
                node = elements[index]
            } else {
                return nil
            }
        }
        return node
    }

    private static func leadingNumber(_ text: Substring) -> Int? {
        var digits = text.drop { $0.isWhitespace }
        if digits.first == "+" { digits = digits.dropFirst() }
        return Int(digits.prefix { $0.isASCII && $0.isNumber })
    }
}
