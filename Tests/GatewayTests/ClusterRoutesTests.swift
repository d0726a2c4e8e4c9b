import Cluster
import Foundation
import Gateway
import Testing
import Vocabulary

@Suite(.timeLimit(.minutes(1))) struct `Cluster routes` {
    private static func with(_ body: (LoopbackServer, ScriptedCluster) async throws -> Void) async throws {
        let cluster = ScriptedCluster()
        await cluster.begin()
        try await LoopbackServer.with(ScriptedNode { _ in .hello }, cluster: cluster) { try await body($0, cluster) }
    }

    private static func code(_ answer: HTTPAnswer) throws -> String? { try answer.error()["code"] as? String }

    @Test func `the state tells members, deployments and who leads`() async throws {
        try await Self.with { server, _ in
            let state = try await server.get("/cluster/v1/state").object()
            #expect(state["node"] as? String == "0000000000000001")
            let leadership = try #require(state["leadership"] as? [String: Any])
            #expect(leadership["leader"] as? String == "0000000000000001")
            #expect(leadership["degraded"] as? Bool == false)
            let nodes = try #require(state["nodes"] as? [[String: Any]])
            #expect(nodes.map { $0["name"] as? String } == ["one"])
            #expect(nodes[0]["liveness"] as? String == "alive")
            #expect((try await server.get("/cluster/v1/nodes").object()["nodes"] as? [Any])?.count == 1)
        }
    }

    @Test func `a deployment is made, listed and removed, each with its outcome`() async throws {
        try await Self.with { server, _ in
            let made = try await server.post(
                "/cluster/v1/deployments", #"{"name":"m","model":"file","replicas":2,"context_tokens":4096}"#)
            #expect(made.status == 200)
            #expect(try made.object()["outcome"] as? String == "done")
            let list = try await server.get("/cluster/v1/deployments").object()
            let deployments = try #require(list["deployments"] as? [[String: Any]])
            #expect(deployments.map { $0["name"] as? String } == ["m"])
            #expect(deployments[0]["replicas"] as? Int == 2)
            #expect(deployments[0]["state"] as? String == "pending")
            #expect((deployments[0]["reason"] as? String)?.isEmpty == false)
            #expect(try await server.send("DELETE", "/cluster/v1/deployments/m").status == 200)
            let again = try await server.send("DELETE", "/cluster/v1/deployments/m")
            #expect(again.status == 404)
            #expect(try Self.code(again) == "not_found")
        }
    }

    @Test func `a deployment without a name gets that of its model, and has other names`() async throws {
        try await Self.with { server, cluster in
            let made = try await server.post("/cluster/v1/deployments", #"{"model":"org/repo","aliases":["gpt"]}"#)
            #expect(made.status == 200)
            #expect(try made.object()["name"] as? String == "repo-file")
            let list = try await server.get("/cluster/v1/deployments").object()
            let deployment = try #require((list["deployments"] as? [[String: Any]])?.first)
            #expect(deployment["name"] as? String == "repo-file" && deployment["aliases"] as? [String] == ["gpt"])
            #expect(deployment["sources"] as? [String] == ["org/repo@v1:Q8_0"])
            let other = try await server.post("/cluster/v1/deployments", #"{"model":"several"}"#)
            #expect(other.status == 409)
            #expect(try Self.code(other) == "conflict")
            let taken = try await server.post("/cluster/v1/deployments", #"{"model":"x","aliases":["gpt"]}"#)
            #expect(taken.status == 409)

            #expect(try await server.get("/cluster/v1/models").body == #"{"models":[]}"#)
            let named = NamedModel(
                id: "a", standing: .local, aliases: ["b"], sources: [try ModelSource("o/r")], quantization: "Q8_0",
                digest: "0f")
            await cluster.list([
                ClusterModel(named: named, state: "available", holders: [NodeID(1)]),
                ClusterModel(named: NamedModel(id: "c", standing: .deployed), state: "ready", holders: []),
            ])
            let expected =
                #"{"models":[{"name":"a","digest":"0f","quantization":"Q8_0","state":"available","aliases":["b"],"#
                + #""sources":["o/r:Q8_0"],"holders":["0000000000000001"]},"#
                + #"{"name":"c","state":"ready","aliases":[],"sources":[],"holders":[]}]}"#
            #expect(try await server.get("/cluster/v1/models").body == expected)
        }
    }

    @Test func `a deployment is made with a projector, or refused with the reason`() async throws {
        try await Self.with { server, _ in
            let made = try await server.post("/cluster/v1/deployments", #"{"model":"m","projector":"eyes"}"#)
            #expect(made.status == 200)
            let list = try await server.get("/cluster/v1/deployments").object()
            let deployment = try #require((list["deployments"] as? [[String: Any]])?.first)
            #expect(deployment["projector"] as? String == String(repeating: "0f", count: 32))
            let wide = try await server.post("/cluster/v1/deployments", #"{"model":"m","projector":"wide"}"#)
            #expect(wide.status == 400)
            #expect(try Self.code(wide) == "invalid")
            #expect(
                try await server.post("/cluster/v1/deployments", #"{"model":"m","projector":"auto"}"#).status == 200)
            let plain = try await server.get("/cluster/v1/deployments").object()["deployments"] as? [[String: Any]]
            #expect(plain?.first?["projector"] == nil)
        }
    }

    @Test func `a deployment says what its cache is stored in`() async throws {
        try await Self.with { server, _ in
            let made = try await server.post(
                "/cluster/v1/deployments", #"{"model":"m","cache_type_k":"q8_0","cache_type_v":"auto"}"#)
            #expect(made.status == 200)
            let list = try await server.get("/cluster/v1/deployments").object()["deployments"] as? [[String: Any]]
            #expect(list?.first?["cache_type_k"] as? String == "q8_0")
            #expect(list?.first?["cache_type_v"] == nil)
            let wrong = try await server.post("/cluster/v1/deployments", #"{"model":"m","cache_type_k":"q9"}"#)
            let message = try #require(try wrong.error()["message"] as? String)
            #expect(message.contains("cache_type_k") && message.contains("q9") && message.contains("q8_0"))
        }
    }

    @Test(
        arguments: [
            "{", "[]", "{}", #"{"model":7}"#, #"{"model":"m","replicas":0}"#, #"{"model":"m","replicas":1.5}"#,
            #"{"model":"m","aliases":["auto"]}"#, #"{"model":"m","aliases":["a\u0007"]}"#,
            #"{"model":"m","name":".."}"#,
            #"{"model":"m","sources":["norepo"]}"#, #"{"model":"m","sources":["a/b@.."]}"#,
            #"{"model":"m","aliases":["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"]}"#,
            #"{"model":"m","colour":"blue"}"#, #"{"model":"m","projector":7}"#, #"{"model":"m","projector":""}"#,
            #"{"model":"m","cache_type_v":"f8"}"#, #"{"model":"m","cache_type_k":8}"#,
            #"{"model":"m","pinned":["x"]}"#, #"{"model":"m","required_tags":[1]}"#,
        ])
    func `a wish that is none is refused with the field`(body: String) async throws {
        try await Self.with { server, _ in
            for path in ["/cluster/v1/deployments", "/cluster/v1/plan"] {
                let answer = try await server.post(path, body)
                #expect(answer.status == 400)
                #expect(try Self.code(answer) == "invalid")
            }
        }
    }

    @Test func `nodes are drained and removed by id or name`() async throws {
        try await Self.with { server, cluster in
            #expect(try await server.post("/cluster/v1/nodes/one/drain", "").status == 200)
            #expect(await cluster.drains == [NodeID(1)])
            let nodes = try await server.get("/cluster/v1/nodes").object()["nodes"] as? [[String: Any]]
            #expect(nodes?[0]["draining"] as? Bool == true)
            #expect(
                try await server.post("/cluster/v1/nodes/0000000000000001/drain", #"{"drain":false}"#).status == 200)
            #expect(try await server.post("/cluster/v1/nodes/two/drain", "").status == 404)
            let last = try await server.send("DELETE", "/cluster/v1/nodes/one")
            #expect(last.status == 409)
            #expect(try Self.code(last) == "conflict")
        }
    }

    @Test func `events begin with the state and resume behind the last one seen`() async throws {
        try await Self.with { server, _ in
            let first = try await server.get("/cluster/v1/events")
            #expect(first.headers["content-type"] == "text/event-stream")
            #expect(first.body.hasPrefix("id: 42-0\nevent: state\ndata: {"))
            _ = try await server.post("/cluster/v1/deployments", #"{"model":"m"}"#)
            let resumed = try await server.get("/cluster/v1/events?after=42-0")
            #expect(resumed.body.hasPrefix("id: 42-1\nevent: deployment\ndata: {\"name\":\"m\""))
            // An id of another life is answered with everything.
            let foreign = try await server.get("/cluster/v1/events?after=41-0")
            #expect(foreign.body.contains("event: state"))
        }
    }

    @Test func `a plan tells who could take part and what is short`() async throws {
        try await Self.with { server, _ in
            let plan = try await server.post("/cluster/v1/plan", #"{"model":"m"}"#).object()
            #expect(plan["fits"] as? Bool == false)
            #expect((plan["reason"] as? String)?.contains("short by") == true)
            #expect((plan["candidates"] as? [[String: Any]])?.first?["name"] as? String == "one")
        }
    }

    @Test func `waiting has its limits, and wrong methods are told the right ones`() async throws {
        try await Self.with { server, _ in
            for query in ["wait=forever", "wait=ready&timeout=0", "wait=ready&timeout=x"] {
                #expect(try await server.post("/cluster/v1/deployments?\(query)", #"{"model":"m"}"#).status == 400)
            }
            // The updates of this cluster end at once, so waiting does.
            let late = try await server.post("/cluster/v1/deployments?wait=ready&timeout=1", #"{"model":"m"}"#)
            #expect(late.status == 504)
            #expect(try Self.code(late) == "not_ready")
            let wrong = try await server.send("DELETE", "/cluster/v1/state")
            #expect(wrong.status == 405)
            #expect(wrong.headers["allow"] == "GET")
        }
    }

    @Test func `without a cluster the routes say so`() async throws {
        try await LoopbackServer.with(ScriptedNode { _ in .hello }) { server in
            let answer = try await server.get("/cluster/v1/state")
            #expect(answer.status == 404)
        }
    }
}
