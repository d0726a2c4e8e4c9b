/// Where an etcd is, as in `etcd://10.0.0.1:2379,10.0.0.2:2379/skein`.
///
/// **Shape:** `etcd` or, with TLS, `etcds`; `://`; `USER[:PASSWORD]@` where it asks for one; endpoints HOST[:PORT] with
/// commas between; `/PREFIX` of all keys, `skein` unless said otherwise.
package struct EtcdAddress: Hashable, Sendable, CustomStringConvertible {
    /// Whether connections are protected.
    package let usesTLS: Bool
    /// HOST:PORT of each endpoint, in the order they are tried.
    package let endpoints: [String]
    /// What all keys begin with, without the slash behind it.
    package let prefix: String
    /// As whom; nil where it asks nobody.
    package let user: String?
    /// The user's password.
    package var password: String?

    /// etcd's port for clients.
    static let port = 2379

    /// Reads an address.
    ///
    /// **Throws:** `EtcdAddressError`.
    package init(_ text: String) throws(EtcdAddressError) {
        guard text.utf8.count <= EtcdLimits.addressBytes else { throw .tooLong(bytes: text.utf8.count) }
        if text.hasPrefix("etcd://") {
            usesTLS = false
        } else if text.hasPrefix("etcds://") {
            usesTLS = true
        } else {
            throw .scheme
        }
        var rest = text.dropFirst(usesTLS ? 8 : 7)
        if let at = rest.lastIndex(of: "@") {
            let parts = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = parts.first, !name.isEmpty else { throw .user }
            user = String(name)
            password = parts.count > 1 ? String(parts[1]) : nil
            rest = rest[rest.index(after: at)...]
        } else {
            (user, password) = (nil, nil)
        }
        let slash = rest.firstIndex(of: "/")
        prefix = try Self.prefix(slash.map { rest[rest.index(after: $0)...] } ?? "")
        let hosts = rest[..<(slash ?? rest.endIndex)].split(separator: ",", omittingEmptySubsequences: false)
        guard hosts.count <= EtcdLimits.endpoints else { throw .endpoints(count: hosts.count) }
        var endpoints: [String] = []
        for host in hosts { endpoints.append(try Self.endpoint(host)) }
        self.endpoints = endpoints
    }

    private static func prefix(_ text: Substring) throws(EtcdAddressError) -> String {
        let trimmed = text.hasSuffix("/") ? text.dropLast() : text
        guard !trimmed.isEmpty else { return "skein" }
        let isPlain = trimmed.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "/"):
                true
            default: false
            }
        }
        guard isPlain, trimmed.utf8.count <= EtcdLimits.prefixBytes else { throw .prefix(String(trimmed)) }
        return String(trimmed)
    }

    private static func endpoint(_ text: Substring) throws(EtcdAddressError) -> String {
        var (host, port) = (text, Self.port)
        let bracket = text.lastIndex(of: "]")
        if let colon = text.lastIndex(of: ":"), bracket.map({ $0 < colon }) ?? true {
            guard let number = Int(text[text.index(after: colon)...]), (1...65535).contains(number) else {
                throw .endpoint(String(text))
            }
            (host, port) = (text[..<colon], number)
        }
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        let isPlain = host.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                true
            case UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"): isBracketed
            default: false
            }
        }
        guard !host.isEmpty, isPlain else { throw .endpoint(String(text)) }
        return "\(host):\(port)"
    }

    /// The address without user and password.
    package var description: String {
        "\(usesTLS ? "etcds" : "etcd")://\(endpoints.joined(separator: ","))\(prefix == "skein" ? "" : "/" + prefix)"
    }
}

/// Why a text is no address of an etcd.
package enum EtcdAddressError: Error, Hashable, Sendable, CustomStringConvertible {
    /// It is longer than any.
    case tooLong(bytes: Int)
    /// It begins otherwise.
    case scheme
    /// There is no user in front of the `@`.
    case user
    /// There are too many endpoints.
    case endpoints(count: Int)
    /// One is no HOST:PORT.
    case endpoint(String)
    /// The prefix has letters it may not have, or too many.
    case prefix(String)

    /// One sentence with the next step.
    package var description: String {
        let form = "it takes etcd://HOST:PORT[,HOST:PORT…][/PREFIX], or etcds:// for TLS."
        return switch self {
        case .tooLong(let bytes): "The address has \(bytes) bytes, the limit is \(EtcdLimits.addressBytes); \(form)"
        case .scheme: "The address begins neither with etcd:// nor with etcds://; \(form)"
        case .user: "There is no user in front of the '@'; \(form)"
        case .endpoints(let count): "\(count) endpoints are named, the limit is \(EtcdLimits.endpoints); \(form)"
        case .endpoint(let text): "'\(text)' is no HOST:PORT with a port in 1 … 65535; \(form)"
        case .prefix(let text):
            "The prefix '\(text)' has other letters than a-z, A-Z, 0-9, '-', '_', '.' and '/', or more than "
                + "\(EtcdLimits.prefixBytes) bytes; \(form)"
        }
    }
}
