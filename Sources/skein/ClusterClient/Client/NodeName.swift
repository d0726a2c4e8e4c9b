/// What people write for a node: its id, the beginning of one, or its name.
enum NodeName {
    /// The id of the one node that is meant: an exact id, else an exact name, else the only id that begins so.
    static func resolve(_ text: String, among nodes: [SeenNode]) throws(NodeNameError) -> String {
        let digits = text.lowercased()
        if let node = nodes.first(where: { $0.id == digits }) { return node.id }
        let named = nodes.filter { $0.name == text }
        if let node = named.first, named.count == 1 { return node.id }
        guard named.isEmpty else { throw .ambiguous(text, named.map(\.id)) }
        let begun = digits.isEmpty ? [] : nodes.filter { $0.id.hasPrefix(digits) }
        guard let node = begun.first else { throw .unknown(text) }
        guard begun.count == 1 else { throw .ambiguous(text, begun.map(\.id)) }
        return node.id
    }
}

/// Why a text means no node.
enum NodeNameError: Error, Hashable, CustomStringConvertible {
    case unknown(String)
    case ambiguous(String, [String])

    var description: String {
        switch self {
        case .unknown(let text):
            "no node has the id or name '\(PrintableText.of(text))'; 'skein nodes' lists them."
        case .ambiguous(let text, let ids):
            "'\(PrintableText.of(text))' may be \(ids.count) nodes; write the id of one: "
                + "\(ids.prefix(4).joined(separator: ", "))\(ids.count > 4 ? ", …" : "")."
        }
    }
}
