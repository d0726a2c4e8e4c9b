/// The JSON Schema of a request's body, from the rows of its fields.
struct FieldSchema {
    /// A field with what stands inside it.
    private final class Node {
        let name: String
        var row: FieldDescription?
        var members: [Node] = []
        /// What is an element of the field, by the value of its `type`; the empty text is any.
        var elements: [(type: String, node: Node)] = []

        init(_ name: String) { self.name = name }

        func member(_ name: String) -> Node {
            if let known = members.first(where: { $0.name == name }) { return known }
            let node = Node(name)
            members.append(node)
            return node
        }

        func element(_ type: String) -> Node {
            if let known = elements.first(where: { $0.type == type }) { return known.node }
            let node = Node("")
            elements.append((type, node))
            return node
        }
    }

    private let root = Node("")
    private let required: [String]

    /// Makes the schema of a route's rows; `required` are the members a body must have.
    init(_ rows: [FieldDescription], required: [String]) {
        self.required = required
        for row in rows { place(row).row = row }
    }

    /// The node of a name such as `messages[].content[text].type`.
    private func place(_ row: FieldDescription) -> Node {
        var node = root
        for part in row.name.split(separator: ".") {
            let pieces = part.split(separator: "[", omittingEmptySubsequences: false)
            node = node.member(String(pieces[0]))
            for piece in pieces.dropFirst() { node = node.element(String(piece.dropLast())) }
        }
        return node
    }

    /// Writes the schema.
    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("type")
        writer.string("object")
        writeMembers(root, required: required, to: &writer)
        writer.endObject()
    }

    // MARK: Nodes

    private func write(_ node: Node, isRequired: Bool, to writer: inout JSONWriter) {
        writer.beginObject()
        if let row = node.row {
            writer.key("description")
            writer.string(row.note.isEmpty ? row.disposition.rawValue : "\(row.disposition.rawValue): \(row.note)")
            writer.key("x-skein-becomes")
            writer.string(row.disposition.rawValue)
        }
        if case .some(let kinds)? = node.row?.shape() {
            writeAlternatives(kinds, node, isNullable: !isRequired, to: &writer)
        } else if node.row == nil, !node.members.isEmpty {
            writer.key("type")
            writer.string("object")
            writeMembers(node, required: [], to: &writer)
        }
        writer.endObject()
    }

    /// `null` counts as absent wherever a field may be absent.
    private func writeAlternatives(
        _ kinds: FieldShape.Kinds, _ node: Node?, isNullable: Bool, to writer: inout JSONWriter
    ) {
        writer.key("anyOf")
        writer.beginArray()
        if isNullable { Self.writeType("null", to: &writer) }
        if kinds.booleans.count == 2 {
            Self.writeType("boolean", to: &writer)
        } else if let only = kinds.booleans.first {
            writer.raw(#"{"const":\#(only)}"#)
        }
        if let number = kinds.number { Self.write(number, to: &writer) }
        if let text = kinds.text { Self.write(text, to: &writer) }
        if let elements = kinds.elements { writeArray(elements, node, to: &writer) }
        if let members = kinds.members { writeObject(members, node, to: &writer) }
        writer.endArray()
    }

    private func write(_ shape: FieldShape, to writer: inout JSONWriter) {
        writer.beginObject()
        if case .some(let kinds) = shape, !shape.isNothing {
            writeAlternatives(kinds, nil, isNullable: false, to: &writer)
        }
        writer.endObject()
    }

    private func writeArray(_ elements: FieldShape, _ node: Node?, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("type")
        writer.string("array")
        if elements.isNothing {
            // No element is taken: only the empty array is.
            writer.key("maxItems")
            writer.integer(0)
        } else if let variants = node?.elements, !variants.isEmpty {
            writer.key("items")
            writer.beginObject()
            writer.key("anyOf")
            writer.beginArray()
            for (type, variant) in variants { writeElement(type, variant, elements, to: &writer) }
            writer.endArray()
            writer.endObject()
        } else {
            writer.key("items")
            write(elements, to: &writer)
        }
        writer.endObject()
    }

    /// An element of an array whose members have rows of their own.
    private func writeElement(_ type: String, _ node: Node, _ shape: FieldShape, to writer: inout JSONWriter) {
        var required: [FieldShape.Member] = []
        if case .some(let kinds) = shape, type.isEmpty { required = kinds.members ?? [] }
        writeObject(required, node, to: &writer, type: type)
    }

    private func writeObject(
        _ members: [FieldShape.Member], _ node: Node?, to writer: inout JSONWriter, type: String = ""
    ) {
        writer.beginObject()
        writer.key("type")
        writer.string("object")
        writeMembers(node, required: members.map(\.name), shapes: members, type: type, to: &writer)
        writer.endObject()
    }

    private func writeMembers(
        _ node: Node?, required: [String], shapes: [FieldShape.Member] = [], type: String = "",
        to writer: inout JSONWriter
    ) {
        let rows = node?.members ?? []
        let others = shapes.filter { shape in !rows.contains { $0.name == shape.name } }
        if !rows.isEmpty || !others.isEmpty {
            writer.key("properties")
            writer.beginObject()
            for row in rows {
                writer.key(row.name)
                if row.name == "type", !type.isEmpty {
                    writer.raw(#"{"const":"\#(type)"}"#)
                } else {
                    write(row, isRequired: required.contains(row.name), to: &writer)
                }
            }
            for other in others {
                writer.key(other.name)
                write(other.shape, to: &writer)
            }
            writer.endObject()
        }
        let needed = required + (type.isEmpty ? [] : ["type"])
        guard !needed.isEmpty else { return }
        writer.key("required")
        writer.beginArray()
        for name in needed { writer.string(name) }
        writer.endArray()
    }

    // MARK: Scalars

    private static func writeType(_ type: String, to writer: inout JSONWriter) {
        writer.raw(#"{"type":"\#(type)"}"#)
    }

    private static func write(_ number: FieldShape.NumberRange, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("type")
        writer.string(number.isInteger ? "integer" : "number")
        if let minimum = number.minimum {
            writer.key("minimum")
            writer.raw(minimum)
        }
        if let maximum = number.maximum {
            writer.key("maximum")
            writer.raw(maximum)
        }
        writer.endObject()
        for other in number.others { writer.raw(#"{"const":\#(other)}"#) }
    }

    private static func write(_ words: FieldShape.Words, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("type")
        writer.string("string")
        if case .only(let list) = words {
            writer.key("enum")
            writer.beginArray()
            for word in list { writer.string(word) }
            writer.endArray()
        }
        writer.endObject()
    }
}
