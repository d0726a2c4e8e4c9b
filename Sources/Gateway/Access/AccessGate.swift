import Dialects
import Synchronization

/// Who sent a request.
enum Caller: Hashable, Sendable {
    /// Somebody who needs no key here.
    case trusted
    /// The owner of a key.
    case key(APIKey)
    /// Somebody without a key on a node that demands one; sees only what everybody may.
    case stranger
}

/// What of a request decides about access.
struct AccessFacts: Hashable, Sendable {
    var method: String
    var path: String
    /// The `Host`; nil when there is none.
    var authority: String?
    /// The `Origin`; nil when there is none, as from clients that are no browsers.
    var origin: String?
    /// SHA-256 of the key that was sent.
    var digest: [UInt8]?
}

/// Decides about access: facts, keys and the time in, a caller or a refusal out.
struct AccessControl: Sendable {
    let policy: AccessPolicy
    private var quotas = KeyQuotas()

    init(policy: AccessPolicy) { self.policy = policy }

    /// The points in time a decision is made at.
    struct Moment: Sendable {
        /// **Units:** seconds since 1970.
        let wallSeconds: Int64
        /// **Units:** nanoseconds since some origin.
        let uptimeNanoseconds: Int64
    }

    /// Decides; `keys` is nil when they cannot be read.
    ///
    /// **Throws:** the refusal.
    mutating func caller(_ facts: AccessFacts, keys: KeyBook?, now: Moment) throws(RequestRefusal) -> Caller {
        let scope = AccessPolicy.scope(method: facts.method, path: facts.path)
        if let digest = facts.digest {
            // Not to know which keys were taken back is no reason to let everybody in.
            guard keys != nil || !policy.demandsKey || scope == nil else { throw .keysUnreadable }
            if let key = keys?.key(digest: digest) {
                quotas.keep(only: keys?.keys ?? [])
                return try caller(key, scope, now)
            }
            // Clients that must have a key send any one to a node that needs none.
            if policy.demandsKey, scope != nil { throw .unknownKey }
        }
        guard policy.demandsKey else {
            if scope != nil { try checkPlace(facts) }
            return .trusted
        }
        guard scope == nil else { throw .missingKey }
        return .stranger
    }

    /// Takes the tokens of an answer out of its key's bounds.
    mutating func charge(_ tokens: Int, to key: APIKey, now: Moment) {
        quotas.charge(tokens, to: key, now: now.uptimeNanoseconds)
    }

    private mutating func caller(_ key: APIKey, _ scope: KeyScope?, _ now: Moment) throws(RequestRefusal) -> Caller {
        guard key.standing(at: now.wallSeconds) == .valid else { throw .unknownKey }
        guard let scope else { return .key(key) }
        guard key.holds(scope) else { throw .missingScope(scope.rawValue) }
        if let refusal = quotas.admit(key, now: now.uptimeNanoseconds) { throw refusal }
        return .key(key)
    }

    /// A page in a browser of this machine can reach a node that needs no key; it must be one of ours.
    private func checkPlace(_ facts: AccessFacts) throws(RequestRefusal) {
        if let authority = facts.authority, !policy.allows(authority: authority) {
            throw .hostNotAllowed(authority)
        }
        if let origin = facts.origin, !policy.allows(origin: origin, authority: facts.authority ?? "") {
            throw .originNotAllowed(origin)
        }
    }
}

/// The one place where access is decided while the node runs.
final class AccessGate: Sendable {
    let policy: AccessPolicy
    private let keys: (any KeyProviding)?
    private let clock: GatewayClock
    private let control: Mutex<AccessControl>

    init(policy: AccessPolicy, keys: (any KeyProviding)?, clock: GatewayClock) {
        self.policy = policy
        self.keys = keys
        self.clock = clock
        control = Mutex(AccessControl(policy: policy))
    }

    /// Decides about a request; `failed` is told why keys cannot be read.
    ///
    /// **Throws:** the refusal.
    func caller(_ facts: AccessFacts, failed: (KeyBookError) -> Void) throws(RequestRefusal) -> Caller {
        var book: KeyBook? = KeyBook()
        if facts.digest != nil, let keys {
            do throws(KeyBookError) {
                book = try keys.current()
            } catch {
                failed(error)
                book = nil
            }
        }
        let result = control.withLock { [moment] control in
            do throws(RequestRefusal) {
                return Result<Caller, RequestRefusal>.success(try control.caller(facts, keys: book, now: moment))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Takes the tokens of an answer out of its caller's bounds.
    func charge(_ tokens: Int, to caller: Caller) {
        guard case .key(let key) = caller, key.tokensPerMinute != nil else { return }
        control.withLock { [moment] in $0.charge(tokens, to: key, now: moment) }
    }

    private var moment: AccessControl.Moment {
        AccessControl.Moment(
            wallSeconds: clock.unixNanoseconds() / 1_000_000_000, uptimeNanoseconds: clock.uptimeNanoseconds())
    }
}
