import LlamaEngine
import Testing
import Vocabulary

@testable import Cluster
@testable import Node

@Suite struct `A request's way to its model` {
    private static let request = GenerationRequest(id: RequestID(1), model: "m", prompt: .text("x"))

    @Test func `progress is told before the answer, and one search goes on from look to look`() async {
        let start = Journey(to: "m", residency: Residency(mayDeploy: true), ownNames: [])
        let answer = JournaledAnswer(Self.request, start) { journey, _ async throws(GenerationError) in
            journey.demands += 1
            guard journey.demands < 3 else {
                throw .modelNotReady(name: journey.name, reason: "short by 3 GB", retryAfterSeconds: 60)
            }
            return .preparing("look \(journey.demands)")
        }
        #expect(await answer.next() == .preparing("look 1"))
        #expect(await answer.next() == .preparing("look 2"))
        #expect(
            await answer.next()
                == .failed(.modelNotReady(name: "m", reason: "short by 3 GB", retryAfterSeconds: 60)))
        #expect(await answer.next() == nil)
    }

    @Test func `a search is told when its client's time is up, and what ends it then is the deadline`() async {
        var request = Self.request
        (request.timeoutSeconds, request.elapsedSeconds) = (3, 3)
        let start = Journey(to: "m", residency: nil, ownNames: [])
        let answer = JournaledAnswer(request, start) { journey, isWanted async throws(GenerationError) in
            guard let end = journey.end, ContinuousClock.now >= end, !isWanted() else { return .preparing("endless") }
            throw .cancelled
        }
        #expect(await answer.next() == .failed(.deadlineExceeded(seconds: 3)))
        #expect(await answer.next() == nil)
        var journey = start
        #expect(journey.end == nil)
        journey.end = .now
        // The way to another placement takes no more time than the first one left.
        #expect(journey.anew.end == journey.end)
    }

    @Test func `the same phrase is told once`() {
        var journey = Journey(to: "m", residency: nil, ownNames: [])
        #expect(journey.news(nil) == nil)
        #expect(journey.news("a") == "a")
        #expect(journey.news("a") == nil)
        #expect(journey.news("b") == "b")
        #expect(journey.anew.demands == 0)
        // What is fetched or loaded is worth more patience than what nobody places.
        #expect(journey.deadline(.loading) > journey.deadline(.pending))
    }

    @Test func `a phrase says how many stages are loaded, and nothing before there is a plan`() {
        let epoch = Epoch(term: 1, number: 1)
        let nodes = (1...3 as ClosedRange<UInt64>).map { NodeID($0) }
        let stages = nodes.enumerated().map { index, node in
            StageAssignment(node: node, layers: LayerRange(first: index, end: index + 1), bytes: ByteCount(1))
        }
        let placement = PlacedReplica(epoch: epoch, replica: ReplicaKey(deployment: "m", index: 0), stages: stages)
        func phrase(_ state: DeploymentView.State, loaded: Int, progress: UInt32?, isPlaced: Bool = true) -> String? {
            let members = nodes.enumerated().map { index, node in
                var reading = NodeReading(node: node)
                reading.stages = [StageReport(epoch: epoch, status: index < loaded ? .loaded : .loading)]
                return MemberView(member: Member(node: node), liveness: .alive, reading: reading)
            }
            let deployment = DeploymentView(
                deployment: Deployment(name: "m", model: "m"), state: state, reason: "", progress: progress,
                placements: isPlaced ? [placement] : [])
            let view = ClusterView(
                node: nodes[0], cluster: 1, index: 1,
                leadership: LeadershipView(term: 1, leader: nil, isDegraded: false, voters: []), members: members,
                deployments: [deployment], settings: [], warnings: [])
            return view.progress(of: deployment)
        }
        #expect(phrase(.loading, loaded: 1, progress: 405) == "loading model m: stage 2 of 3, 40 %")
        #expect(phrase(.fetching, loaded: 0, progress: 0) == "fetching model m: stage 1 of 3")
        #expect(phrase(.loading, loaded: 3, progress: nil) == "loading model m: stage 3 of 3")
        #expect(phrase(.pending, loaded: 0, progress: nil) == nil)
        #expect(phrase(.loading, loaded: 0, progress: nil, isPlaced: false) == nil)
    }

    @Test func `devices become tags, each kind once`() {
        let devices = ["CUDA1", "CUDA0", "CPU"].map { name in
            EngineDevice(name: name, about: "", compute: name == "CPU" ? "cpu" : "cuda", isOffload: name != "CPU")
        }
        #expect(DeviceProbe.tags(of: devices) == ["llama-cpu", "llama-cuda"])
        #expect(DeviceProbe.tags(of: []).isEmpty)
    }
}
