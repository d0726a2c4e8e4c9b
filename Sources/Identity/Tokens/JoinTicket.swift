import NIOCore
import Vocabulary

/// Where a node's cluster port is reached.
package struct ClusterAddress: Hashable, Sendable, CustomStringConvertible {
    /// Host name, IPv4 address, or IPv6 address without brackets.
    package let host: String
    /// TCP port.
    package let port: Int

    /// Makes an address.
    ///
    /// **Throws:** `JoinTicketError.address` when the host or the port cannot be one.
    package init(host: String, port: Int) throws(JoinTicketError) {
        let text = "\(host):\(port)"
        guard (1...65_535).contains(port) else { throw .address(text, finding: "a port is from 1 to 65535") }
        guard !host.isEmpty, host.utf8.count <= Limits.hostBytes else {
            throw .address(text.prefixed(64), finding: "a host has 1 to \(Limits.hostBytes) letters")
        }
        if host.contains(":") {
            guard (try? SocketAddress(ipAddress: host, port: port))?.protocol == .inet6, !host.contains("%") else {
                throw .address(text, finding: "it is no IPv6 address")
            }
        } else {
            guard host.utf8.allSatisfy(Self.isHostLetter) else {
                throw .address(text, finding: "a host has letters, digits, dots, hyphens and underscores")
            }
        }
        self.host = host
        self.port = port
    }

    /// Reads `HOST:PORT` or `[IPV6]:PORT`.
    ///
    /// **Throws:** `JoinTicketError.address` for anything else.
    package init(_ text: String) throws(JoinTicketError) {
        let shown = text.prefixed(64)
        guard let colon = text.lastIndex(of: ":") else { throw .address(shown, finding: "it has no port") }
        var host = text[..<colon]
        let digits = text[text.index(after: colon)...]
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (48...57).contains($0) }),
            let port = Int(digits)
        else { throw .address(shown, finding: "it has no port from 1 to 65535") }
        if host.hasPrefix("[") {
            guard host.hasSuffix("]"), host.contains(":") else {
                throw .address(shown, finding: "brackets are for IPv6 addresses")
            }
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw .address(shown, finding: "an IPv6 address needs brackets")
        }
        try self.init(host: String(host), port: port)
    }

    private static func isHostLetter(_ byte: UInt8) -> Bool {
        switch byte {
        case 48...57, 65...90, 97...122, 45, 46, 95: true
        default: false
        }
    }

    /// `HOST:PORT`, with brackets around an IPv6 address.
    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// The one line a machine needs to join a cluster. It holds a secret: whoever has it can join.
package struct JoinTicket: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    /// Where nodes of the cluster are reached, in the order they are tried.
    package let addresses: [ClusterAddress]
    /// The cluster's certificate; nobody else is given the secret.
    package let authority: Fingerprint
    /// The secret of a join token.
    package let secret: JoinSecret

    private static let scheme = "skein1"
    private static let command: [Substring] = ["skein", "join"]

    /// Makes a ticket.
    ///
    /// **Throws:** `JoinTicketError.addressCount` for none or too many addresses, `.tooLong` when they do not fit.
    package init(
        addresses: [ClusterAddress], authority: Fingerprint, secret: JoinSecret
    ) throws(JoinTicketError) {
        guard (1...Limits.ticketAddresses).contains(addresses.count) else {
            throw .addressCount(addresses.count, limit: Limits.ticketAddresses)
        }
        self.addresses = addresses
        self.authority = authority
        self.secret = secret
        guard text.utf8.count <= Limits.ticketBytes else {
            throw .tooLong(text.utf8.count, limit: Limits.ticketBytes)
        }
    }

    /// Reads `skein1:HOST:PORT,…:SHA256:SECRET`; blanks around it do not matter, nor does the command before it in the
    /// line that `skein token create` prints.
    ///
    /// **Throws:** the part that is wrong; never with the secret in it.
    package init(_ line: String) throws(JoinTicketError) {
        guard line.utf8.count <= Limits.ticketBytes else {
            throw .tooLong(line.utf8.count, limit: Limits.ticketBytes)
        }
        let blanks = CharacterSetOfBlanks.self
        let text = line.drop(while: blanks.contains).reversed().drop(while: blanks.contains).reversed()
        let words = String(text).split(whereSeparator: blanks.contains)
        let ticket = words.count == 3 && words[..<2] == Self.command[...] ? String(words[2]) : String(text)
        let parts = ticket.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts != [""] else { throw .empty }
        guard parts[0] == Self.scheme else {
            let isOther = parts[0].hasPrefix("skein") && Int(parts[0].dropFirst(5)) != nil
            throw isOther ? .version(parts[0].prefixed(16)) : .notATicket
        }
        // scheme, host, port, authority, secret at the least
        guard parts.count >= 5 else { throw .missingPart }
        guard let authority = Fingerprint(hexadecimal: parts[parts.count - 2]) else {
            throw .authority(length: parts[parts.count - 2].utf8.count)
        }
        guard let secret = JoinSecret(text: parts[parts.count - 1]) else {
            throw .secret(length: parts[parts.count - 1].utf8.count)
        }
        let list = parts[1..<parts.count - 2].joined(separator: ":")
            .split(separator: ",", omittingEmptySubsequences: false)
        guard list.count <= Limits.ticketAddresses else {
            throw .addressCount(list.count, limit: Limits.ticketAddresses)
        }
        var addresses: [ClusterAddress] = []
        for address in list { addresses.append(try ClusterAddress(String(address))) }
        try self.init(addresses: addresses, authority: authority, secret: secret)
    }

    /// The line, secret included: print it for the user who asked for it, and log it never.
    package var text: String {
        let list = addresses.map(\.description).joined(separator: ",")
        return "\(Self.scheme):\(list):\(authority):\(secret.text)"
    }

    /// The ticket without its secret, for logs.
    package var description: String {
        "\(Self.scheme):\(addresses.map(\.description).joined(separator: ",")):\(authority):…"
    }

    /// As `description`: no debugger or log shows the secret by accident.
    package var debugDescription: String { description }
}

/// Blanks that come along when a line is copied from a terminal.
private enum CharacterSetOfBlanks {
    static func contains(_ character: Character) -> Bool { character.isWhitespace }
}

extension String {
    /// The text, or as much of it as a message should show.
    func prefixed(_ count: Int) -> String { self.count <= count ? self : prefix(count) + "…" }
}

/// The secret in a join ticket: 32 random bytes. Its descriptions do not show it.
package struct JoinSecret: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    let bytes: [UInt8]

    init?(bytes: [UInt8]) {
        guard bytes.count == Limits.secretBytes else { return nil }
        self.bytes = bytes
    }

    init?(text: String) {
        guard text.utf8.count == 43, let bytes = Base64URL.bytes(text) else { return nil }
        self.init(bytes: bytes)
    }

    init(_ entropy: Entropy) { bytes = entropy.bytes(Limits.secretBytes) }

    /// The secret as 43 letters.
    var text: String { Base64URL.text(bytes) }

    /// What the cluster keeps in its place.
    package var digest: Fingerprint { Fingerprint(of: bytes) }

    /// Says that it is a secret.
    package var description: String { "a join secret" }

    /// As `description`.
    package var debugDescription: String { description }
}

/// Why a line is no join ticket. No case holds the secret.
package enum JoinTicketError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The line is blank.
    case empty
    /// It does not begin with `skein1:`.
    case notATicket
    /// It was made by a version with another form of tickets.
    case version(String)
    /// It is longer than any ticket.
    case tooLong(Int, limit: Int)
    /// A part is missing, most likely cut off.
    case missingPart
    /// No address, or too many.
    case addressCount(Int, limit: Int)
    /// An address is malformed.
    case address(String, finding: String)
    /// The hash of the cluster's certificate is not 64 hexadecimal digits.
    case authority(length: Int)
    /// The secret is not 43 letters.
    case secret(length: Int)

    private static let again = "copy the whole line that `skein token create` printed"

    /// One sentence with the next step.
    package var description: String {
        switch self {
        case .empty:
            "The join ticket is empty; \(Self.again)."
        case .notATicket:
            "A join ticket begins with skein1:, this one does not; \(Self.again)."
        case .version(let version):
            "The join ticket has the form \(version), this version reads skein1; install the version of the cluster."
        case .tooLong(let count, let limit):
            "The join ticket has \(count) bytes, the limit is \(limit); \(Self.again) and nothing else."
        case .missingPart:
            "A part of the join ticket is missing; \(Self.again)."
        case .addressCount(let count, let limit):
            "The join ticket has \(count) addresses, it may have 1 to \(limit); make another with fewer --address."
        case .address(let address, let finding):
            "The address \(address) in the join ticket is malformed: \(finding); \(Self.again)."
        case .authority(let length):
            "The certificate hash in the join ticket must be 64 hexadecimal digits and has \(length) letters; "
                + "\(Self.again)."
        case .secret(let length):
            "The secret in the join ticket must be 43 letters of base64url and has \(length); \(Self.again)."
        }
    }
}
