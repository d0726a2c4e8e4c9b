/// Who may use a node, and from where.
package struct AccessPolicy: Hashable, Sendable {
    /// Whether every request needs a key.
    package var demandsKey: Bool
    /// Names, beside those of loopback, by which clients without a key may call the node; lower case.
    package var hostNames: [String]
    /// Origins whose pages may read answers: `https://chat.example`, or `*` for all. None unless configured.
    package var corsOrigins: [String]

    /// Puts a policy together.
    package init(demandsKey: Bool = false, hostNames: [String] = [], corsOrigins: [String] = []) {
        self.demandsKey = demandsKey
        self.hostNames = hostNames.map { $0.lowercased() }
        self.corsOrigins = corsOrigins
    }

    /// Whether only this machine can reach what listens at `host`.
    ///
    /// The address the node listens at decides, not the one a request comes from: behind a proxy on the same machine
    /// everybody comes from loopback.
    package static func isLoopback(_ host: String) -> Bool {
        if host.lowercased() == "localhost" || host == "::1" { return true }
        return isIPv4(host) && host.hasPrefix("127.")
    }

    /// Whether a request without a key may name the node so, in its `Host`.
    ///
    /// A page can make a browser send requests here under a name of its own that it points at this machine ("DNS
    /// rebinding"); it cannot do so under an address or under names that are not its own. So addresses, loopback names
    /// and the configured names are taken.
    func allows(authority: String) -> Bool {
        let name = Self.host(of: authority.lowercased())
        if name.hasPrefix("[") && name.hasSuffix("]") { return true }
        if Self.isIPv4(name) || name == "localhost" || name.hasSuffix(".localhost") { return true }
        return hostNames.contains(name)
    }

    /// Whether a page of this origin may send requests without a key: only pages of this very server, and configured
    /// ones.
    func allows(origin: String, authority: String) -> Bool {
        if allowsReading(origin: origin) { return true }
        guard let scheme = origin.firstRange(of: "://") else { return false }
        return origin[scheme.upperBound...].lowercased() == authority.lowercased()
    }

    /// Whether a page of this origin may read answers.
    func allowsReading(origin: String) -> Bool {
        corsOrigins.contains("*") || corsOrigins.contains(origin)
    }

    /// The name without port, and without the dot that may end it.
    private static func host(of authority: String) -> String {
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") { return String(authority[...end]) }
        let name = authority.prefix { $0 != ":" }
        return String(name.hasSuffix(".") ? name.dropLast() : name)
    }

    private static func isIPv4(_ text: String) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                (1...3).contains(part.utf8.count) && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
                    && UInt8(part) != nil
            }
    }

    /// What a key must hold for a request; nil for what everybody may see.
    static func scope(method: String, path: String) -> KeyScope? {
        let isReading = method == "GET" || method == "HEAD"
        let parts = RoutePath(path).components
        if parts.isEmpty || parts == ["healthz"] || parts == ["readyz"] { return nil }
        if parts[0] == "metrics" { return .operate }
        if parts[0] == "cluster" { return isReading ? .operate : .admin }
        guard parts.count > 1, parts[0] == "api" else { return .inference }
        let changesModels: [Substring] = ["pull", "push", "create", "copy", "delete"]
        let isChange = changesModels.contains(parts[1]) || (parts[1] == "blobs" && !isReading)
        return isChange ? .admin : .inference
    }
}
