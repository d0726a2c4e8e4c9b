/// The arguments of a call, for dialects that show them as an object.
enum ToolArguments {
    /// The object; empty for a call without arguments, nil for text that is no JSON object.
    static func object(_ text: String) -> JSONNode? {
        if text.allSatisfy(\.isWhitespace) { return JSONNode(.object([]), offset: 0) }
        guard let node = try? JSONReader.read(Array(text.utf8)), node.members != nil else { return nil }
        return node
    }
}
