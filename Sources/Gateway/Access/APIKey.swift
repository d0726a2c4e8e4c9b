import Vocabulary

/// What a key may be used for.
package enum KeyScope: String, Hashable, Sendable, CaseIterable {
    /// Asking models, and seeing which there are.
    case inference
    /// Looking after the node: metrics and the state of the cluster.
    case operate
    /// Changing things: models, deployments, nodes. It holds the other two.
    case admin
}

/// What is kept of an API key. The key itself is not: only its digest.
///
/// A plain SHA-256 is the right digest here. Slow password hashes make up for secrets that people choose and attackers
/// guess; a key is 32 bytes from the system's random source, so that nobody can try even a fraction of them, and a
/// fast digest costs a request next to nothing.
package struct APIKey: Hashable, Sendable {
    /// Names the key in lists and logs; the beginning of its digest, which tells nothing about the key.
    package let id: String
    /// What its owner calls it.
    package let name: String
    /// SHA-256 of the key's text, 32 bytes.
    package let digest: [UInt8]
    /// What it may be used for, sorted.
    package let scopes: [KeyScope]
    /// When it was made. **Units:** seconds since 1970.
    package let created: Int64
    /// From when on it is refused; nil never. **Units:** seconds since 1970.
    package let expires: Int64?
    /// Since when it is refused because somebody said so; nil when nobody has. **Units:** seconds since 1970.
    package private(set) var revoked: Int64?
    /// Most requests per minute; nil without a bound.
    package let requestsPerMinute: Int?
    /// Most tokens per minute, prompts and answers together; nil without a bound.
    package let tokensPerMinute: Int?

    /// Puts a key's record together. The caller MUST pass a digest of 32 bytes.
    package init(
        name: String, digest: [UInt8], scopes: Set<KeyScope>, created: Int64, expires: Int64? = nil,
        revoked: Int64? = nil, requestsPerMinute: Int? = nil, tokensPerMinute: Int? = nil
    ) {
        precondition(digest.count == 32, "a digest of \(digest.count) bytes")
        id = "key_" + Hexadecimal.text(digest.prefix(6))
        self.name = name
        self.digest = digest
        self.scopes = KeyScope.allCases.filter(scopes.contains)
        self.created = created
        self.expires = expires
        self.revoked = revoked
        self.requestsPerMinute = requestsPerMinute
        self.tokensPerMinute = tokensPerMinute
    }

    /// Whether it can be used.
    package enum Standing: String, Sendable {
        /// It can.
        case valid
        /// Its time is over.
        case expired
        /// Somebody took it back.
        case revoked
    }

    /// Whether it can be used at a time. **Units:** seconds since 1970.
    package func standing(at now: Int64) -> Standing {
        if revoked != nil { return .revoked }
        return expires.map { $0 <= now } == true ? .expired : .valid
    }

    /// Whether it may be used for something.
    package func holds(_ scope: KeyScope) -> Bool { scopes.contains(scope) || scopes.contains(.admin) }

    /// Takes it back; the first time counts.
    mutating func revoke(at now: Int64) { revoked = revoked ?? now }
}
