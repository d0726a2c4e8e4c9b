/// Where a node's API is: the URL that paths are put behind.
struct NodeAddress: Hashable, Sendable, CustomStringConvertible {
    /// Without a slash at the end.
    let description: String

    private static let standardPort = 7534
    static let standard = "http://127.0.0.1:\(standardPort)"

    /// Reads `http://HOST[:PORT]`, `https://…` or `HOST[:PORT]`, with a path when a proxy wants one. Without a scheme
    /// it is a node, whose port is known; with one it may be a proxy, at the port of its scheme.
    ///
    /// **Throws:** what is wrong with it.
    init(_ text: String) throws(NodeAddressError) {
        guard text.utf8.count <= ClientLimits.settingBytes else { throw .tooLong(text.utf8.count) }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw .malformed(text, "a letter is not allowed")
        }
        var scheme = "http"
        var rest = text[...]
        if let mark = text.firstRange(of: "://") {
            scheme = text[..<mark.lowerBound].lowercased()
            rest = text[mark.upperBound...]
        }
        guard scheme == "http" || scheme == "https" else { throw .malformed(text, "'\(scheme)' is not http or https") }
        guard !rest.contains(where: { "?#@".contains($0) }) else {
            throw .malformed(text, "it has a '?', '#' or '@'")
        }
        while rest.last == "/" { rest = rest.dropLast() }
        let authority = rest.prefix { $0 != "/" }
        if let finding = Self.finding(in: authority) { throw .malformed(text, finding) }
        let hasPort = authority.hasPrefix("[") ? !authority.hasSuffix("]") : authority.contains(":")
        let port = hasPort || text.contains("://") ? "" : ":\(Self.standardPort)"
        description = "\(scheme)://\(authority)\(port)\(rest.dropFirst(authority.count))"
    }

    private static func finding(in authority: Substring) -> String? {
        var host = authority
        var port: Substring?
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { return "'[' without ']'" }
            host = authority[authority.index(after: authority.startIndex)..<end]
            let rest = authority[authority.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return "'\(rest)' after ']'" }
            port = rest.isEmpty ? nil : rest.dropFirst()
        } else if let colon = authority.firstIndex(of: ":") {
            host = authority[..<colon]
            port = authority[authority.index(after: colon)...]
        }
        if host.isEmpty { return "the host is missing" }
        guard let port else { return nil }
        guard let number = Int(port), (1...65535).contains(number) else { return "the port '\(port)' is not 1 … 65535" }
        return nil
    }
}

/// Why a text is no node's address.
enum NodeAddressError: Error, Hashable, CustomStringConvertible {
    case tooLong(Int)
    case malformed(String, String)

    var description: String {
        switch self {
        case .tooLong(let count): "--node has \(count) bytes; it takes at most \(ClientLimits.settingBytes)."
        case .malformed(let text, let finding):
            "--node is '\(PrintableText.of(text))' (\(finding)); it takes a URL as in \(NodeAddress.standard)."
        }
    }
}
