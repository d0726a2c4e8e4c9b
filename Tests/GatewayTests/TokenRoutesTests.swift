import Cluster
import Foundation
import Testing

@testable import Gateway

@Suite(.timeLimit(.minutes(1))) struct `Join tokens over HTTP` {
    private static let path = "/cluster/v1/tokens"

    private static func with(_ body: (LoopbackServer, ScriptedCluster) async throws -> Void) async throws {
        let cluster = ScriptedCluster()
        await cluster.begin()
        try await LoopbackServer.with(ScriptedNode { _ in .hello }, cluster: cluster) { try await body($0, cluster) }
    }

    @Test func `a token is made, listed without its secret and taken back`() async throws {
        try await Self.with { server, cluster in
            let made = try await server.post(Self.path, #"{"uses":3,"ttl_seconds":600,"worker":true}"#)
            #expect(made.status == 201)
            #expect(made.headers["cache-control"] == "no-store")
            let token = try made.object()
            #expect(token["id"] as? String == "00000000")
            #expect(token["line"] as? String == "skein join skein1:10.0.0.1:7535:ab:SECRET")
            #expect(token["uses"] as? Int == 3)
            #expect(token["worker"] as? Bool == true)
            #expect(token["expires"] as? Int == 1_700_000_600)
            #expect(await cluster.wishes == [TokenWish(uses: 3, lifeSeconds: 600, isForWorkers: true)])

            let list = try await server.get(Self.path)
            #expect(!list.body.contains("SECRET"))
            let tokens = try #require(try list.object()["tokens"] as? [[String: Any]])
            #expect(tokens.map { $0["state"] as? String } == ["valid"])
            #expect(tokens.map { $0["uses_left"] as? Int } == [3])
            #expect(tokens.map { $0["created"] as? Int } == [1_700_000_000])

            let gone = try await server.send("DELETE", Self.path + "/00000000")
            #expect(gone.status == 200)
            #expect(gone.body == #"{"outcome":"done"}"#)
            let after = try await server.get(Self.path).object()["tokens"] as? [[String: Any]]
            #expect(after?.map { $0["state"] as? String } == ["revoked"])
        }
    }

    @Test(arguments: ["", "{}", #"{"uses":null,"ttl_seconds":null,"worker":null}"#])
    func `without values a token lets one machine in within a day`(body: String) async throws {
        try await Self.with { server, cluster in
            let made = try await server.post(Self.path, body)
            #expect(made.status == 201)
            #expect(await cluster.wishes == [TokenWish(uses: 1, lifeSeconds: 86_400, isForWorkers: false)])
        }
    }

    @Test(arguments: [
        ("[]", ["an array", "object"]), ("{", ["JSON"]), (#"{"uses":"2"}"#, ["'uses'", "a string", "integer"]),
        (#"{"uses":1.5}"#, ["'uses'", "1.5", "integer"]), (#"{"uses":1e30}"#, ["'uses'", "1e30", "2147483647"]),
        (#"{"uses":0}"#, ["1 to 1000 uses", "not 0"]), (#"{"uses":1001}"#, ["1000", "1001"]),
        (#"{"ttl_seconds":true}"#, ["'ttl_seconds'", "a boolean"]),
        (#"{"ttl_seconds":99999999999}"#, ["'ttl_seconds'", "99999999999", "2147483647"]),
        (#"{"worker":1}"#, ["'worker'", "a number", "true or false"]),
        (#"{"usees":1}"#, ["'usees'", "uses, ttl_seconds, worker"]),
    ])
    func `a wish that is none is refused with field, limit and value`(body: String, words: [String]) async throws {
        try await Self.with { server, cluster in
            let answer = try await server.post(Self.path, body)
            #expect(answer.status == 400)
            #expect(try answer.error()["code"] as? String == "invalid")
            let message = try #require(try answer.error()["message"] as? String)
            for word in words { #expect(message.contains(word), "\(message)") }
            #expect(await cluster.wishes.isEmpty)
        }
    }

    @Test(arguments: [
        (TokenRefusal.invalid("a"), 400, "invalid"), (.notFound("b"), 404, "not_found"), (.full("c"), 409, "full"),
        (.conflict("d"), 409, "conflict"), (.unavailable("e"), 503, "unavailable"),
    ])
    func `each refusal of the cluster has its status`(refusal: TokenRefusal, status: Int, code: String) async throws {
        try await Self.with { server, cluster in
            await cluster.refuseTokens(refusal)
            let answers = [
                try await server.get(Self.path), try await server.post(Self.path, "{}"),
                try await server.send("DELETE", Self.path + "/x"),
            ]
            for answer in answers {
                #expect(answer.status == status)
                #expect(try answer.error()["code"] as? String == code)
                #expect(try answer.error()["message"] as? String == refusal.description)
            }
        }
    }

    @Test func `a token nobody made, a long body and a wrong method are refused`() async throws {
        try await Self.with { server, _ in
            let unknown = try await server.send("DELETE", Self.path + "/a%2Fb")
            #expect(unknown.status == 404)
            #expect((try unknown.error()["message"] as? String)?.contains("a/b") == true)
            let long = try await server.post(Self.path, String(repeating: " ", count: ClusterRoutes.bodyBytes + 1))
            #expect(long.status == 413)
            let wrong = try await server.send("PUT", Self.path, "{}")
            #expect(wrong.status == 405)
            #expect(wrong.headers["allow"] == "GET, POST")
            #expect(try await server.get(Self.path + "/x").headers["allow"] == "DELETE")
        }
    }

    @Test func `listing takes a key to operate, making and revoking one to administer`() async throws {
        let cluster = ScriptedCluster()
        await cluster.begin()
        let keys = TestKeys(.of("user"), .of("ops", scopes: [.operate]), .of("root", scopes: [.admin]))
        try await LoopbackServer.with(
            ScriptedNode { _ in .hello }, cluster: cluster, access: AccessPolicy(demandsKey: true), keys: keys
        ) { server in
            for (key, list, make) in [("user", 403, 403), ("ops", 200, 403), ("root", 200, 201), ("none", 401, 401)] {
                let headers = ["Authorization": "Bearer \(key)"]
                #expect(try await server.send("GET", Self.path, "", headers).status == list, "\(key)")
                #expect(try await server.send("POST", Self.path, "{}", headers).status == make, "\(key)")
                let revoked = try await server.send("DELETE", Self.path + "/00000000", "", headers).status
                #expect(revoked == (make == 201 ? 200 : make), "\(key)")
            }
            #expect(try await server.get(Self.path).status == 401)
        }
    }
}
