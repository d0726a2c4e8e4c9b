/// What of a JSON Schema would take the engine's library minutes to turn into a grammar, or more stack than its thread
/// has.
///
/// **Source:** `_build_object_rule`, `_not_strings` and `_add_rule` of llama.cpp's common/json-schema-to-grammar.cpp.
enum SchemaBounds {
    /// Why schemas are refused, wherever they stand in `root`; nil when they are not.
    static func fault(of root: JSONNode) -> (value: String, expected: String)? {
        var work = 0
        for node in schemas(in: root) {
            let names = (node["properties"]?.members ?? []).map(\.key)
            if let name = names.first(where: { $0.utf8.count > Limits.schemaNameBytes }) {
                return ("a property's name of \(name.utf8.count) bytes", "at most \(Limits.schemaNameBytes)")
            }
            if let reference = node["$ref"]?.string, reference.utf8.count > Limits.schemaReferenceBytes {
                return ("a $ref of \(reference.utf8.count) bytes", "at most \(Limits.schemaReferenceBytes)")
            }
            let count = optionalProperties(of: node, in: root)
            guard count <= Limits.schemaOptionals else {
                return (
                    "an object of \(count) properties that are not required",
                    "at most \(Limits.schemaOptionals) of them; name properties in 'required'"
                )
            }
            // Of each property that may begin, all those that may follow are written down.
            work += count * count * count
            guard work <= Limits.schemaOptionals * Limits.schemaOptionals * Limits.schemaOptionals else {
                return (
                    "objects of many properties that are not required",
                    "one of \(Limits.schemaOptionals) of them, or eight of half as many; name properties in 'required'"
                )
            }
        }
        return nil
    }

    /// Properties of an object that may be left out, by the most that the library takes for such.
    private static func optionalProperties(of node: JSONNode, in root: JSONNode) -> Int {
        let required = Set((node["required"]?.array ?? []).compactMap(\.string))
        let own = (node["properties"]?.members ?? []).count { !required.contains($0.key) }
        // Components bring theirs.
        let components = (node["allOf"]?.array ?? []).flatMap { $0["anyOf"]?.array ?? [$0] }
        return components.reduce(own) { count, component in
            var component = component
            for _ in 0..<Limits.schemaReferences {
                guard let reference = component["$ref"]?.string,
                    let target = SchemaReferences.target(of: reference, in: root)
                else { break }
                component = target
            }
            return count + (component["properties"]?.members?.count ?? 0)
        }
    }

    /// Everything that may be a schema.
    static func schemas(in root: JSONNode) -> [JSONNode] {
        var found: [JSONNode] = []
        var rest = [root]
        while let node = rest.popLast() {
            found.append(node)
            rest += node.array ?? (node.members ?? []).filter { !dataWords.contains($0.key) }.map(\.value)
        }
        return found
    }

    /// Members whose values are no schemas.
    private static let dataWords: Set<String> = ["const", "enum", "default", "examples"]
}
