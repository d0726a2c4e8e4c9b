import Dialects

/// What every key has used of its bounds.
struct KeyQuotas: Sendable {
    private struct Use: Sendable {
        var requests: TokenBucket?
        var tokens: TokenBucket?
    }

    private var uses: [String: Use] = [:]

    /// Takes one request out of a key's bounds; the refusal when they are reached. **Units:** nanoseconds.
    mutating func admit(_ key: APIKey, now: Int64) -> RequestRefusal? {
        guard key.requestsPerMinute != nil || key.tokensPerMinute != nil else { return nil }
        var use = fitted(key, now)
        defer { uses[key.id] = use }
        // Both are looked at before one is taken from, so that a refused request costs nothing.
        if let wait = use.requests?.wait(for: 1, now: now), wait > 0, let limit = key.requestsPerMinute {
            return .rateLimited(limit: "\(limit) requests per minute", retryAfterSeconds: wait)
        }
        if let wait = use.tokens?.wait(for: 1, now: now), wait > 0, let limit = key.tokensPerMinute {
            return .rateLimited(limit: "\(limit) tokens per minute", retryAfterSeconds: wait)
        }
        use.requests?.take(1, now: now)
        return nil
    }

    /// Takes the tokens of an answer out of a key's bounds.
    mutating func charge(_ tokens: Int, to key: APIKey, now: Int64) {
        guard key.tokensPerMinute != nil, tokens > 0 else { return }
        var use = fitted(key, now)
        use.tokens?.take(tokens, now: now)
        uses[key.id] = use
    }

    /// Forgets keys that are gone; there are never more than `Limits.keys`.
    mutating func keep(only keys: [APIKey]) {
        guard uses.count > keys.count else { return }
        let known = Set(keys.map(\.id))
        uses = uses.filter { known.contains($0.key) }
    }

    /// A key's buckets; fresh ones where its bounds have changed.
    private func fitted(_ key: APIKey, _ now: Int64) -> Use {
        var use = uses[key.id] ?? Use()
        if use.requests?.perMinute != key.requestsPerMinute {
            use.requests = key.requestsPerMinute.map { TokenBucket(perMinute: $0, now: now) }
        }
        if use.tokens?.perMinute != key.tokensPerMinute {
            use.tokens = key.tokensPerMinute.map { TokenBucket(perMinute: $0, now: now) }
        }
        return use
    }
}
