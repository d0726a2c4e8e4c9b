/// All keys of a node.
package struct KeyBook: Hashable, Sendable {
    /// The keys, in the order they were made.
    package private(set) var keys: [APIKey] = []

    /// No keys.
    package init() {}

    /// Whether any key can be used at a time. **Units:** seconds since 1970.
    package func hasValidKey(at now: Int64) -> Bool { keys.contains { $0.standing(at: now) == .valid } }

    /// The key with this digest. Every key is compared in full, so that the time it takes tells nothing about how much
    /// of a digest was right, or which key it was.
    package func key(digest: [UInt8]) -> APIKey? {
        guard digest.count == 32 else { return nil }
        var found: Int?
        for (index, key) in keys.enumerated() {
            var difference: UInt8 = 0
            for (left, right) in zip(key.digest, digest) { difference |= left ^ right }
            if difference == 0 { found = index }
        }
        return found.map { keys[$0] }
    }

    /// Adds a key.
    ///
    /// **Throws:** `KeyBookError.full`, `nameTaken`, or `invalid` for a name or bound that no key has.
    package mutating func add(_ key: APIKey) throws(KeyBookError) {
        guard keys.count < Limits.keys else { throw .full(limit: Limits.keys) }
        try check(key)
        // A key that was taken back gives its name free, so that one can be replaced by another.
        guard !keys.contains(where: { $0.revoked == nil && $0.name == key.name }) else {
            throw .nameTaken(name: key.name)
        }
        keys.append(key)
    }

    /// Takes back the key of this identity, or else the one of this name that is in use, and returns it.
    ///
    /// **Throws:** `KeyBookError.unknown`.
    package mutating func revoke(_ name: String, at now: Int64) throws(KeyBookError) -> APIKey {
        let index =
            keys.firstIndex { $0.id == name } ?? keys.lastIndex { $0.name == name && $0.revoked == nil }
            ?? keys.lastIndex { $0.name == name }
        guard let index else { throw .unknown(name: name) }
        keys[index].revoke(at: now)
        return keys[index]
    }

    private func check(_ key: APIKey) throws(KeyBookError) {
        let isPrintable = key.name.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
        guard !key.name.isEmpty, isPrintable, key.name.utf8.count <= Limits.keyNameBytes else {
            throw .invalid(reason: "a name has 1 to \(Limits.keyNameBytes) bytes and no control characters")
        }
        guard !key.scopes.isEmpty else { throw .invalid(reason: "a key has at least one scope") }
        for bound in [key.requestsPerMinute, key.tokensPerMinute] {
            guard let bound, !(1...Limits.perMinute).contains(bound) else { continue }
            throw .invalid(reason: "a bound per minute is 1 to \(Limits.perMinute), but one is \(bound)")
        }
    }
}

/// What is wrong with a node's keys.
package enum KeyBookError: Error, Hashable, Sendable, CustomStringConvertible {
    /// There are as many keys as may be.
    case full(limit: Int)
    /// A key in use has this name.
    case nameTaken(name: String)
    /// No key has this name or identity.
    case unknown(name: String)
    /// A key cannot be like this.
    case invalid(reason: String)
    /// The file is none of ours, or was damaged.
    case damaged(path: String, reason: String)
    /// The file cannot be read.
    case unreadable(path: String, reason: String)
    /// The file cannot be written.
    case unwritable(path: String, reason: String)

    /// One sentence with the next step.
    package var description: String {
        switch self {
        case .full(let limit):
            "There are \(limit) keys, as many as may be; remove keys.json of the data directory and start afresh."
        case .nameTaken(let name): "A key named '\(name)' is in use; revoke it first, or choose another --name."
        case .unknown(let name): "No key is called '\(name)'; see 'skein key list'."
        case .invalid(let reason): "The key cannot be made: \(reason); change the options and try again."
        case .damaged(let path, let reason):
            "The key file \(path) cannot be understood (\(reason)); restore it from a backup, or move it away and "
                + "create keys again."
        case .unreadable(let path, let reason):
            "The key file \(path) cannot be read (\(reason)); check its permissions."
        case .unwritable(let path, let reason): "The key file \(path) cannot be written (\(reason)); check its disk."
        }
    }
}

/// Where the gateway's keys come from; the node stands behind it.
package protocol KeyProviding: Sendable {
    /// The keys as they are now. It is asked for every request, so a key taken back is refused from the next one on.
    ///
    /// **Throws:** `KeyBookError.unreadable` or `damaged`.
    func current() throws(KeyBookError) -> KeyBook
}
