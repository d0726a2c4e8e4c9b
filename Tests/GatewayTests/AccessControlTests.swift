import Dialects
import Testing

@testable import Gateway

@Suite struct `Access control` {
    private static let keys = [
        APIKey.of("user"), .of("ops", scopes: [.operate]), .of("root", scopes: [.admin]), .of("old", expires: 50),
    ]

    private func decide(
        _ policy: AccessPolicy, _ method: String = "POST", _ path: String = "/v1/chat/completions", key: String? = nil,
        host: String? = "localhost:7534", origin: String? = nil, readable: Bool = true
    ) throws -> Caller {
        var control = AccessControl(policy: policy)
        var book = KeyBook()
        for key in Self.keys { try book.add(key) }
        _ = try book.revoke("ops", at: 1)
        try book.add(.of("ops2", scopes: [.operate]))
        let facts = AccessFacts(
            method: method, path: path, authority: host, origin: origin, digest: key.map(KeySecret.digest))
        return try control.caller(
            facts, keys: readable ? book : nil, now: .init(wallSeconds: 100, uptimeNanoseconds: 0))
    }

    private static let closed = AccessPolicy(demandsKey: true)

    @Test func `a node that demands keys lets in those that are valid`() throws {
        #expect(try decide(Self.closed, key: "user") == .key(.of("user")))
        #expect(throws: RequestRefusal.missingKey) { try decide(Self.closed) }
        for key in ["none", "old", "ops", ""] {
            #expect(throws: RequestRefusal.unknownKey, "\(key)") { try decide(Self.closed, key: key) }
        }
        // With a key, names and origins do not matter: no page of another site has one.
        #expect(try decide(Self.closed, key: "user", host: "evil.example", origin: "http://evil.example") != .trusted)
    }

    @Test(arguments: [
        ("GET", "/v1/models", KeyScope.inference), ("POST", "/api/chat", .inference), ("GET", "/api/tags", .inference),
        ("GET", "/metrics", .operate), ("GET", "/cluster/v1/status", .operate), ("POST", "/cluster/v1/drain", .admin),
        ("POST", "/api/pull", .admin), ("DELETE", "/api/delete", .admin), ("POST", "/api/blobs/x", .admin),
        ("HEAD", "/api/blobs/x", .inference), ("DELETE", "/v1/responses/resp_1", .inference),
    ])
    func `every route demands its scope, and admin holds all`(method: String, path: String, scope: KeyScope) throws {
        for (key, holds) in [("user", KeyScope.inference), ("ops2", .operate), ("root", .admin)] {
            let isAllowed = holds == scope || holds == .admin
            do {
                _ = try decide(Self.closed, method, path, key: key)
                #expect(isAllowed)
            } catch let refusal as RequestRefusal {
                #expect(!isAllowed && refusal == .missingScope(scope.rawValue))
            }
        }
    }

    @Test func `health is everybody's, and says that nobody was let in`() throws {
        for path in ["/", "/healthz", "/readyz"] {
            #expect(try decide(Self.closed, "GET", path, host: "any.example") == .stranger)
            #expect(try decide(Self.closed, "GET", path, key: "none") == .stranger)
            #expect(try decide(AccessPolicy(), "GET", path, host: "any.example") == .trusted)
        }
    }

    @Test func `a node without keys takes any key, but not one that was taken back`() throws {
        #expect(try decide(AccessPolicy(), key: "none") == .trusted)
        #expect(try decide(AccessPolicy(), key: "user") == .key(.of("user")))
        #expect(throws: RequestRefusal.unknownKey) { try decide(AccessPolicy(), key: "ops") }
    }

    @Test func `when keys cannot be read, only a node that needs none lets anybody in`() throws {
        #expect(throws: RequestRefusal.keysUnreadable) { try decide(Self.closed, key: "user", readable: false) }
        #expect(throws: RequestRefusal.missingKey) { try decide(Self.closed, readable: false) }
        #expect(try decide(AccessPolicy(), key: "user", readable: false) == .trusted)
        #expect(try decide(Self.closed, "GET", "/healthz", key: "user", readable: false) == .stranger)
    }

    @Test(arguments: [
        ("localhost", true), ("LOCALHOST:7534", true), ("localhost.:1", true), ("app.localhost", true),
        ("127.0.0.1:7534", true), ("192.168.0.9", true), ("[::1]:7534", true), ("skein.lan:80", true),
        ("evil.example", false), ("localhost.evil.example", false), ("127.0.0.1.evil.example:7534", false),
        ("1.2.3", false), ("1.2.3.256", false), ("", false), ("xlocalhost", false),
    ])
    func `a page cannot reach the node by a name of its own`(host: String, isAllowed: Bool) throws {
        let policy = AccessPolicy(hostNames: ["Skein.LAN"])
        if isAllowed {
            #expect(try decide(policy, host: host) == .trusted)
        } else {
            #expect(throws: RequestRefusal.hostNotAllowed(host)) { try decide(policy, host: host) }
        }
        // A client that is no browser may say nothing.
        #expect(try decide(policy, host: nil) == .trusted)
    }

    @Test(arguments: [
        ("http://localhost:7534", true), ("http://localhost:3000", false), ("https://chat.example", true),
        ("http://chat.example", false), ("null", false), ("http://evil.example", false), ("", false),
    ])
    func `pages of other origins are refused unless configured`(origin: String, isAllowed: Bool) throws {
        let policy = AccessPolicy(corsOrigins: ["https://chat.example"])
        if isAllowed {
            #expect(try decide(policy, origin: origin) == .trusted)
        } else {
            #expect(throws: RequestRefusal.originNotAllowed(origin)) { try decide(policy, origin: origin) }
        }
        #expect(try decide(AccessPolicy(corsOrigins: ["*"]), origin: origin) == .trusted)
    }

    @Test(arguments: [
        ("127.0.0.1", true), ("127.9.9.9", true), ("localhost", true), ("::1", true), ("0.0.0.0", false),
        ("::", false), ("192.168.1.2", false), ("127.evil.example", false), ("", false), ("myhost", false),
    ])
    func `only loopback is loopback`(host: String, isLoopback: Bool) {
        #expect(AccessPolicy.isLoopback(host) == isLoopback)
    }

    @Test func `bounds of a key count for that key alone, and refused requests cost nothing`() throws {
        var control = AccessControl(policy: Self.closed)
        let book = try KeyBook.of(.of("a", requestsPerMinute: 2, tokensPerMinute: 100), .of("b"))
        func ask(_ key: String, at second: Int64) throws -> Caller {
            let facts = AccessFacts(method: "POST", path: "/v1/messages", digest: KeySecret.digest(of: key))
            let now = AccessControl.Moment(wallSeconds: 9, uptimeNanoseconds: second * 1_000_000_000)
            return try control.caller(facts, keys: book, now: now)
        }
        _ = try ask("a", at: 0)
        _ = try ask("a", at: 0)
        for _ in 0..<5 {
            #expect(throws: RequestRefusal.rateLimited(limit: "2 requests per minute", retryAfterSeconds: 30)) {
                try ask("a", at: 0)
            }
        }
        #expect(try ask("b", at: 0) == .key(book.keys[1]))
        let caller = try ask("a", at: 30)
        control.charge(250, to: book.keys[0], now: .init(wallSeconds: 9, uptimeNanoseconds: 30_000_000_000))
        #expect(throws: RequestRefusal.rateLimited(limit: "100 tokens per minute", retryAfterSeconds: 61)) {
            try ask("a", at: 60)
        }
        #expect(try ask("a", at: 121) == caller)
    }

    @Test func `changed bounds count at once`() throws {
        var quotas = KeyQuotas()
        #expect(quotas.admit(.of("a", requestsPerMinute: 1), now: 0) == nil)
        #expect(quotas.admit(.of("a", requestsPerMinute: 1), now: 0) != nil)
        #expect(quotas.admit(.of("a", requestsPerMinute: 5), now: 0) == nil)
        #expect(quotas.admit(.of("a"), now: 0) == nil)
        quotas.keep(only: [])
        #expect(quotas.admit(.of("a", requestsPerMinute: 5), now: 0) == nil)
    }
}
