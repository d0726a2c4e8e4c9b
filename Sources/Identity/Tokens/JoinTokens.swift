import Vocabulary

/// The join tokens of a cluster: a value that any voter can read from the cluster's settings.
///
/// Each token is a setting of its own, so a change is one `configure` command with the token's new text. Two voters
/// that spend the last use of a token at the same time would both succeed, therefore the spending MUST be decided by
/// the leader, who reads its own latest state.
package struct JoinTokens: Hashable, Sendable {
    /// The tokens, ordered by id.
    package private(set) var tokens: [JoinToken] = []

    /// No tokens.
    package init() {}

    /// Reads the tokens among a cluster's settings; what is not one, or of a later form, is passed over.
    package init(settings: some Sequence<(name: String, value: String)>) {
        tokens = Array(
            settings.compactMap { JoinToken(settingName: $0.name, value: $0.value) }.sorted { $0.id < $1.id }
                .prefix(Limits.tokenCount))
    }

    /// The token of this name.
    package subscript(id: JoinTokenID) -> JoinToken? { tokens.first { $0.id == id } }

    /// Makes a token. Its secret is in the answer and nowhere else.
    ///
    /// **Throws:** `JoinTokenError` for a life or a number of uses out of bounds, or when there are too many.
    package mutating func create(
        life: Duration, uses: Int = 1, part: JoinPart = .member, now: WallTime, entropy: Entropy = .system
    ) throws(JoinTokenError) -> (token: JoinToken, secret: JoinSecret) {
        let lives = Limits.tokenLifeMinimum...Limits.tokenLifeMaximum
        guard lives.contains(life) else { throw .life(life, allowed: lives) }
        guard (1...Limits.tokenUses).contains(uses) else { throw .uses(uses, limit: Limits.tokenUses) }
        guard tokens.count < Limits.tokenCount else { throw .full(limit: Limits.tokenCount) }
        var id = JoinTokenID(entropy)
        while self[id] != nil { id = JoinTokenID(entropy) }
        let secret = JoinSecret(entropy)
        let token = JoinToken(
            id: id, digest: secret.digest, part: part, created: now, expires: now.advanced(by: life), uses: uses)
        put(token)
        return (token, secret)
    }

    /// Takes a token back; joiners who hold its ticket are told so.
    ///
    /// **Throws:** `JoinTokenError.unknown`.
    package mutating func revoke(_ id: JoinTokenID) throws(JoinTokenError) -> JoinToken {
        guard var token = self[id] else { throw .unknown(id.description) }
        token.isRevoked = true
        put(token)
        return token
    }

    /// What became of a secret.
    package enum Redemption: Hashable, Sendable {
        /// It lets this key in. The token's new text MUST last before a certificate leaves.
        case granted(JoinToken)
        /// It lets nobody in.
        case refused(JoinRefusal)
    }

    /// Spends one use for a node's key; the same key is let in again without a use, because its answer may be lost.
    package mutating func redeem(_ secret: JoinSecret, key: Fingerprint, now: WallTime) -> Redemption {
        let digest = secret.digest
        // Every token is compared, each in constant time: the time says nothing about which one it was.
        var found: JoinToken?
        for token in tokens where token.digest.equalsInConstantTime(digest) { found = token }
        guard var token = found else { return .refused(.unknownToken) }
        if token.isRevoked { return .refused(.revoked(token.id)) }
        if now >= token.expires { return .refused(.expired(at: token.expires)) }
        let mark = JoinToken.KeyMark(key)
        if token.keys.contains(mark) { return .granted(token) }
        guard token.usesLeft > 0 else { return .refused(.usedUp(uses: token.uses)) }
        token.usesLeft -= 1
        token.keys = token.keys.suffix(Limits.tokenKeys - 1) + [mark]
        put(token)
        return .granted(token)
    }

    /// Removes tokens nobody needs any more and returns their ids: those that have been dead for a week, and when the
    /// table is full the longest dead ones, so that there is room for another.
    package mutating func sweep(now: WallTime) -> [JoinTokenID] {
        let forgotten = now.advanced(by: .zero - Limits.tokenMemory)
        var gone = Set(tokens.filter { !$0.isUsable(now: now) && $0.expires <= forgotten }.map(\.id))
        let dead = tokens.filter { !$0.isUsable(now: now) && !gone.contains($0.id) }.sorted {
            ($0.expires, $0.id) < ($1.expires, $1.id)
        }
        let excess = tokens.count - gone.count - Limits.tokenCount + 1
        gone.formUnion(dead.prefix(max(0, excess)).map(\.id))
        tokens.removeAll { gone.contains($0.id) }
        return gone.sorted()
    }

    private mutating func put(_ token: JoinToken) {
        if let index = tokens.firstIndex(where: { $0.id == token.id }) {
            tokens[index] = token
        } else {
            tokens.insert(token, at: tokens.firstIndex { $0.id > token.id } ?? tokens.endIndex)
        }
    }
}
