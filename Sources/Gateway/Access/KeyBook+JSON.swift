package import Dialects
import Vocabulary

/// The bytes of `keys.json`: `{"version":1,"keys":[…]}`.
extension KeyBook {
    private static let version: Int64 = 1

    /// The file's bytes.
    package var json: [UInt8] {
        var writer = JSONWriter(reserving: 64 + 512 * keys.count)
        writer.beginObject()
        writer.key("version")
        writer.integer(Self.version)
        writer.key("keys")
        writer.beginArray()
        for key in keys { Self.write(key, to: &writer) }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }

    /// Writes what may be shown of a key, and its digest; the reader of a file and people alike find the fields they
    /// know.
    package static func write(_ key: APIKey, showingDigest: Bool = true, to writer: inout JSONWriter) {
        writer.beginObject()
        for (name, value) in [("id", key.id), ("name", key.name)] {
            writer.key(name)
            writer.string(value)
        }
        if showingDigest {
            writer.key("sha256")
            writer.string(Hexadecimal.text(key.digest))
        }
        writer.key("scopes")
        writer.beginArray()
        for scope in key.scopes { writer.string(scope.rawValue) }
        writer.endArray()
        writer.key("created")
        writer.integer(key.created)
        for (name, value) in [
            ("expires", key.expires), ("revoked", key.revoked),
            ("requests_per_minute", key.requestsPerMinute.map(Int64.init)),
            ("tokens_per_minute", key.tokensPerMinute.map(Int64.init)),
        ] {
            writer.key(name)
            if let value { writer.integer(value) } else { writer.null() }
        }
        writer.endObject()
    }

    /// Reads the file's bytes; `path` is named in errors.
    ///
    /// **Throws:** `KeyBookError.damaged` for bytes that are no key file of a version known here.
    package init(json bytes: [UInt8], path: String) throws(KeyBookError) {
        self.init()
        let root: JSONNode
        do {
            root = try JSONReader.read(bytes)
        } catch {
            throw .damaged(path: path, reason: error.description)
        }
        guard root["version"]?.number?.integer == .exact(Self.version) else {
            throw .damaged(path: path, reason: "its version is not \(Self.version)")
        }
        guard let entries = root["keys"]?.array, entries.count <= Limits.keys else {
            throw .damaged(path: path, reason: "it has no list of at most \(Limits.keys) keys")
        }
        for (index, entry) in entries.enumerated() {
            guard let key = Self.key(entry) else { throw .damaged(path: path, reason: "key \(index) is incomplete") }
            do {
                try add(key)
            } catch {
                throw .damaged(path: path, reason: error.description)
            }
        }
    }

    private static func key(_ node: JSONNode) -> APIKey? {
        guard let name = node["name"]?.string, let digest = node["sha256"]?.string.flatMap(Hexadecimal.bytes),
            digest.count == 32, let created = integer(node["created"]), let list = node["scopes"]?.array
        else { return nil }
        let scopes = list.map { $0.string.flatMap(KeyScope.init) }
        // A scope from a newer release would silently be a key that may less: better none at all.
        guard !scopes.contains(nil) else { return nil }
        for name in ["expires", "revoked", "requests_per_minute", "tokens_per_minute"] {
            guard let value = node[name], !value.isNull else { continue }
            guard integer(value) != nil else { return nil }
        }
        return APIKey(
            name: name, digest: digest, scopes: Set(scopes.compactMap { $0 }), created: created,
            expires: integer(node["expires"]), revoked: integer(node["revoked"]),
            requestsPerMinute: integer(node["requests_per_minute"]).map { Int($0) },
            tokensPerMinute: integer(node["tokens_per_minute"]).map { Int($0) })
    }

    private static func integer(_ node: JSONNode?) -> Int64? {
        if case .exact(let value)? = node?.number?.integer { value } else { nil }
    }
}
