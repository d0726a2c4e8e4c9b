import Cluster
import Vocabulary

/// What a joiner may become.
package enum JoinPart: UInt8, Hashable, Sendable, CaseIterable {
    /// May vote, and gets a copy of the cluster's key so that it can let others join.
    case member = 0
    /// Runs stages and answers requests; never votes and gets no copy of the cluster's key.
    case worker = 1
}

/// Public name of a join token: what `skein token list` shows and `skein token revoke` takes.
package struct JoinTokenID: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Eight hexadecimal digits.
    package let description: String

    /// Reads eight hexadecimal digits, or returns nil for anything else.
    package init?(_ text: String) {
        guard text.utf8.count == 8, Hexadecimal.bytes(text) != nil else { return nil }
        description = text.lowercased()
    }

    init(_ entropy: Entropy) { description = Hexadecimal.text(entropy.bytes(4)) }

    /// Orders by digits.
    package static func < (left: JoinTokenID, right: JoinTokenID) -> Bool { left.description < right.description }
}

/// A permission to join, as the cluster keeps it: with the hash of its secret, never with the secret.
package struct JoinToken: Hashable, Sendable {
    /// Public name.
    package let id: JoinTokenID
    /// SHA-256 of the secret.
    package let digest: Fingerprint
    /// What joiners may become.
    package let part: JoinPart
    /// When it was made.
    package let created: WallTime
    /// When it ends.
    package let expires: WallTime
    /// How many nodes may join with it.
    package let uses: Int
    /// How many still may.
    package internal(set) var usesLeft: Int
    /// Whether it was taken back.
    package internal(set) var isRevoked = false
    /// Keys it let in, the latest `Limits.tokenKeys`, so that a joiner who lost the answer may ask again.
    package internal(set) var keys: [KeyMark] = []

    /// The first half of a key's fingerprint: enough to know it again, and short enough for a setting.
    package struct KeyMark: Hashable, Sendable, CustomStringConvertible {
        /// 32 hexadecimal digits.
        package let description: String

        /// The mark of a key.
        package init(_ key: Fingerprint) { description = Hexadecimal.text(key.bytes.prefix(16)) }

        init?(_ text: Substring) {
            guard text.utf8.count == 32, Hexadecimal.bytes(text) != nil else { return nil }
            description = String(text)
        }
    }

    /// Whether somebody could still join with it.
    package func isUsable(now: WallTime) -> Bool { !isRevoked && usesLeft > 0 && now < expires }

    /// Begins the name of the setting a token is kept in; the token's id follows.
    package static let settingPrefix = ControlPlane.joinTokenPrefix

    /// Name of the cluster's setting that holds this token.
    package var settingName: String { Self.settingPrefix + id.description }

    /// The token as the text of a setting; at most 800 bytes.
    package var settingValue: String {
        let fields = [
            "1", "\(digest)", "\(part.rawValue)", "\(created.milliseconds)", "\(expires.milliseconds)", "\(uses)",
            "\(usesLeft)", isRevoked ? "revoked" : "valid", keys.map(\.description).joined(separator: ","),
        ]
        return fields.joined(separator: " ")
    }

    init(
        id: JoinTokenID, digest: Fingerprint, part: JoinPart, created: WallTime, expires: WallTime, uses: Int
    ) {
        self.id = id
        self.digest = digest
        self.part = part
        self.created = created
        self.expires = expires
        self.uses = uses
        usesLeft = uses
    }

    /// Reads a setting; nil when it is not a token, or one of a form this version does not know.
    package init?(settingName: String, value: String) {
        guard settingName.hasPrefix(Self.settingPrefix) else { return nil }
        let fields = value.split(separator: " ", omittingEmptySubsequences: false)
        guard let id = JoinTokenID(String(settingName.dropFirst(Self.settingPrefix.count))), fields.count == 9,
            fields[0] == "1", let digest = Fingerprint(hexadecimal: fields[1]),
            let part = UInt8(fields[2]).flatMap(JoinPart.init(rawValue:)), let created = Int64(fields[3]),
            let expires = Int64(fields[4]), let uses = Int(fields[5]), (1...Limits.tokenUses).contains(uses),
            let left = Int(fields[6]), (0...uses).contains(left), ["valid", "revoked"].contains(fields[7])
        else { return nil }
        let keys = fields[8].split(separator: ",").map { KeyMark($0) }
        guard keys.count <= Limits.tokenKeys, !keys.contains(nil) else { return nil }
        self.init(
            id: id, digest: digest, part: part, created: WallTime(milliseconds: created),
            expires: WallTime(milliseconds: expires), uses: uses)
        usesLeft = left
        isRevoked = fields[7] == "revoked"
        self.keys = keys.compactMap(\.self)
    }
}

/// Why a token cannot be made or taken back.
package enum JoinTokenError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The life is too short or too long.
    case life(Duration, allowed: ClosedRange<Duration>)
    /// No uses, or too many.
    case uses(Int, limit: Int)
    /// As many usable tokens as there may be exist already.
    case full(limit: Int)
    /// There is no token of this name.
    case unknown(String)

    /// One sentence with the next step.
    package var description: String {
        switch self {
        case .life(let life, let allowed):
            "A join token lives \(Int(allowed.lowerBound.inSeconds)) to \(Int(allowed.upperBound.inSeconds)) seconds, "
                + "not \(Int(life.inSeconds)); choose another --ttl."
        case .uses(let uses, let limit):
            "A join token has 1 to \(limit) uses, not \(uses); choose another --uses."
        case .full(let limit):
            "There are \(limit) usable join tokens already; revoke one with skein token revoke."
        case .unknown(let id):
            "There is no join token \(id.prefixed(32)); see skein token list."
        }
    }
}
