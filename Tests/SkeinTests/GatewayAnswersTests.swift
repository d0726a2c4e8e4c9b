import Dialects
import Testing

@testable import Cluster
@testable import skein

/// What a real node writes is what the command line reads.
@Suite(.timeLimit(.minutes(1))) struct `Answers of a node` {
    @Test func `the state is read whole`() async throws {
        try await FixedCluster().serve { client in
            let cluster = try await client.state()
            let (one, two) = ("0000000000000001", "0000000000000002")
            #expect(cluster.node == one)
            #expect(cluster.cluster == "000000000000beef")
            #expect(
                cluster.leadership == SeenLeadership(term: 3, leader: one, isDegraded: true, voters: [one]))
            #expect(cluster.warnings == ["Beware."])
            #expect(
                cluster.nodes == [
                    SeenNode(
                        id: one, name: "one", addresses: ["10.0.0.1:7535"], tags: ["llama-cpu"], role: "full",
                        isDraining: false, liveness: "alive", usableBytes: 1 << 33, totalBytes: .max,
                        weightBytesPerSecond: 12_500_000_000),
                    SeenNode(
                        id: two, name: "two", addresses: ["10.0.0.2:7535"], tags: ["llama-cpu"], role: "full",
                        isDraining: false, liveness: "alive"),
                ])
            let deployment = try #require(cluster.deployments.first)
            #expect((deployment.name, deployment.model, deployment.state) == ("m", "file", "degraded"))
            #expect((deployment.reason, deployment.progress) == ("Slow.", 7))
            let placement = try #require(deployment.placements.first)
            #expect((placement.phase, placement.contextTokens, placement.lanes) == ("active", 4096, 2))
            #expect(
                placement.stages == [
                    SeenStage(node: one, firstLayer: 0, endLayer: 4, bytes: 1024),
                    SeenStage(node: two, firstLayer: 4, endLayer: 8, bytes: 2048),
                ])
            #expect(try await client.ids(of: ["two", "0000000000000001"]) == [two, one])
        }
    }

    @Test func `what a node serves by itself is neither deployed, an alias nor on offer only`() async throws {
        try await FixedCluster().serve { client in
            let own = try await client.ownModels(beside: try await client.state())
            #expect(own == [SeenModel(name: "own", state: "starting")])
        }
    }

    @Test func `a deployment is asked for as it was said, and taken away by any name`() async throws {
        let cluster = FixedCluster()
        try await cluster.serve { client in
            let wish = DeployWish(
                model: "f", name: "org/m-x", replicas: 2, context: 4096, lanes: 3, pinned: ["0000000000000001"],
                excluded: ["0000000000000002"], tags: ["b", "a"], keepAliveSeconds: 60)
            let answer = try await client.send(.post, "/cluster/v1/deployments", body: wish.body)
            #expect(answer.json["outcome"]?.string == "done_degraded")
            #expect(answer.json["warning"]?.string?.isEmpty == false)
            _ = try await client.send(.delete, "/cluster/v1/deployments/\(PathPart.of("org/m-x"))")
            await #expect(
                throws: ClusterClientError.refused(
                    status: 404, code: "not_found", message: "No deployment 'none'.")
            ) { _ = try await client.send(.delete, "/cluster/v1/deployments/none") }
        }
        var wanted = Deployment(name: "org/m-x", model: "f")
        wanted.replicas = 2
        wanted.contextTokens = 4096
        wanted.lanes = 3
        wanted.pinned = [NodeID(1)]
        wanted.excluded = [NodeID(2)]
        wanted.requiredTags = ["a", "b"]
        wanted.keepAliveMilliseconds = 60_000
        #expect(cluster.actions == [.deploy(wanted), .undeploy("org/m-x"), .undeploy("none")])
    }

    @Test func `a plan and the tokens are read`() async throws {
        let cluster = FixedCluster()
        try await cluster.serve { client in
            let plan = try await client.send(.post, "/cluster/v1/plan", body: DeployWish(model: "m").body)
            let preview = try SeenPreview(plan.json)
            #expect(!preview.fits)
            #expect(preview.reason == "Short by 7 GiB.")
            #expect(preview.candidates == [SeenCandidate(id: "0000000000000001", name: "one", promisedBytes: 5)])
            #expect(preview.excluded.map(\.code) == ["tags"])
            let made = try await client.send(
                .post, "/cluster/v1/tokens", body: Array(#"{"uses":2,"ttl_seconds":60,"worker":true}"#.utf8))
            #expect(made.status == 201)
            #expect(made.json["line"]?.string == "skein join skein1:x")
            let tokens = try SeenToken.list(try await client.get("/cluster/v1/tokens").json)
            #expect(
                tokens == [
                    SeenToken(
                        id: "0a0b0c0d", state: "used_up", uses: 2, usesLeft: 0, isForWorkers: true, expires: 86_401)
                ])
            _ = try await client.send(.delete, "/cluster/v1/tokens/0a0b0c0d")
        }
        #expect(cluster.tokenRequests == ["create 2 60 true", "revoke 0a0b0c0d"])
    }

    @Test func `its events are followed over the ends of its streams`() async throws {
        struct Enough: Error {}
        try await FixedCluster().serve(watching: true) { client in
            var screen = WatchText(isJSON: false)
            var lines: [String] = []
            var count = 0
            let watch = ClusterWatch(client: client) { _ in if lines.last == "deployment m is gone" { throw Enough() } }
            try await watch.run { _ in
                count += 1
            } _: { event throws(ClusterClientError) in
                lines += try client.reading { () throws(MissingField) in try screen.lines(event) }
            }
            #expect(lines.suffix(3) == ["node two is removed", "no longer: Beware.", "deployment m is gone"])
            #expect(lines.first == "cluster   000000000000beef, seen by one")
            #expect(count == 3)
        }
    }
}
