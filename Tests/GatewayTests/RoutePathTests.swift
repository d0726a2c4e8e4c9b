import Dialects
import Foundation
import Testing
import Vocabulary

@testable import Gateway

@Suite(.timeLimit(.minutes(1))) struct `Paths with slashes too many` {
    private struct Sample {
        let method: String
        let path: String

        /// The path in other words: each of them leads the router to the same place.
        var spellings: [String] {
            let inner = path.replacingOccurrences(of: "/", with: "//")
            return ["/" + path, "//" + path, path + "/", inner, inner + "//", path + "/?x=/v1/models"]
        }
    }

    /// The cluster's routes are not in the document of the API.
    private static let cluster = [
        Sample(method: "GET", path: "/cluster/v1/state"), Sample(method: "GET", path: "/cluster/v1/nodes"),
        Sample(method: "GET", path: "/cluster/v1/deployments"), Sample(method: "GET", path: "/cluster/v1/models"),
        Sample(method: "GET", path: "/cluster/v1/events"), Sample(method: "GET", path: "/cluster/v1/tokens"),
        Sample(method: "POST", path: "/cluster/v1/deployments"), Sample(method: "POST", path: "/cluster/v1/plan"),
        Sample(method: "DELETE", path: "/cluster/v1/deployments/m"),
        Sample(method: "POST", path: "/cluster/v1/nodes/one/drain"),
        Sample(method: "DELETE", path: "/cluster/v1/nodes/one"), Sample(method: "POST", path: "/cluster/v1/tokens"),
        Sample(method: "DELETE", path: "/cluster/v1/tokens/t"),
    ]

    /// Every route; parameters stand for themselves.
    private static var routes: [Sample] {
        let document = APIRoute.all.map { route in
            Sample(method: route.method, path: route.path.filter { $0 != "{" && $0 != "}" })
        }
        return document + cluster
    }

    private static func scope(_ sample: Sample, _ path: String) -> KeyScope? {
        let path = path.components(separatedBy: "?")[0]
        return AccessPolicy.scope(method: sample.method, path: path)
    }

    @Test func `every spelling of a route demands the scope of the route`() {
        for route in Self.routes {
            let scope = Self.scope(route, route.path)
            for path in route.spellings { #expect(Self.scope(route, path) == scope, "\(route.method) \(path)") }
        }
        #expect(Self.cluster.allSatisfy { Self.scope($0, $0.path) == ($0.method == "GET" ? .operate : .admin) })
        #expect(AccessPolicy.scope(method: "GET", path: "//") == nil)
    }

    @Test func `a key for inference opens no other route by any spelling`() async throws {
        let cluster = ScriptedCluster()
        await cluster.begin()
        let node = ScriptedNode { _ in .hello }
        let guarded = Self.routes.filter { route in
            guard let scope = Self.scope(route, route.path) else { return false }
            return scope != .inference
        }
        #expect(guarded.count > Self.cluster.count)
        try await LoopbackServer.with(
            node, cluster: cluster, access: AccessPolicy(demandsKey: true), keys: TestKeys(.of("user"))
        ) { server in
            for route in guarded {
                for path in [route.path] + route.spellings {
                    let answer = try await server.send(route.method, path, "{}", ["x-api-key": "user"])
                    #expect(answer.status == 403, "\(route.method) \(path)")
                }
            }
            #expect(await cluster.drains.isEmpty)
            // An escape is no letter for the router, so this is no route and needs no other key.
            let escaped = try await server.send("GET", "/%63luster/v1/state", "", ["x-api-key": "user"])
            #expect(escaped.status == 404)
        }
    }

    @Test func `errors have the shape of the route, and wrong methods are told the right ones`() async throws {
        let cluster = ScriptedCluster()
        await cluster.begin()
        try await LoopbackServer.with(ScriptedNode { _ in .hello }, cluster: cluster) { server in
            let message = try await server.post("//v1//messages/", "{")
            #expect(try message.object()["type"] as? String == "error")
            #expect(message.headers["request-id"]?.isEmpty == false)
            #expect(try await server.post("/api//chat", "{").object()["error"] is String)
            for (method, path, allowed) in [
                ("GET", "//v1/messages", "POST"), ("POST", "/v1//models/a/b", "GET"),
                ("PUT", "/v1/responses/", "GET, POST"), ("PUT", "//cluster/v1/state", "GET"),
            ] {
                let answer = try await server.send(method, path)
                #expect(answer.status == 405 && answer.headers["allow"] == allowed, "\(method) \(path)")
            }
        }
    }

    @Test func `a target may have a host in front and a query behind`() {
        let path = RoutePath("/api/blobs/x")
        for target in ["/api/blobs/x", "/api/blobs//x?y=/z", "http://node:7534/api/blobs/x", "//api/blobs/x/"] {
            #expect(RoutePath(target: target) == path, "\(target)")
        }
        #expect(RoutePath(target: "").components.isEmpty)
    }
}
