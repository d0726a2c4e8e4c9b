import Gateway
import Runner
import Synchronization
import Vocabulary

/// The node as the gateway sees it: finds the deployment a request names and hands the request over.
final class NodeBackend: Generating {
    private let supervisors: [PlacementSupervisor]
    private let nextID = Atomic<UInt64>(UInt64.random(in: 1...UInt64.max / 2))
    private let requests = Atomic<UInt64>(0)
    private let failures = Atomic<UInt64>(0)
    private let isDraining = Atomic<Bool>(false)

    init(_ supervisors: [PlacementSupervisor]) { self.supervisors = supervisors }

    func nextRequestID() -> RequestID { RequestID(nextID.add(1, ordering: .relaxed).newValue) }

    func generate(_ request: GenerationRequest) async -> GenerationStream {
        requests.add(1, ordering: .relaxed)
        do throws(GenerationError) {
            guard !isDraining.load(ordering: .acquiring) else {
                throw .modelNotReady(name: request.model, reason: "the node is stopping", retryAfterSeconds: 10)
            }
            let link = try await supervisor(named: request.model).ready()
            let id = request.id
            return GenerationStream(events: await link.generate(request)) { link.cancelEarly(id) }
        } catch {
            failures.add(1, ordering: .relaxed)
            let events = AsyncStream<GenerationEvent> { continuation in
                continuation.yield(.failed(error))
                continuation.finish()
            }
            return GenerationStream(events: events)
        }
    }

    /// Refuses new requests, waits up to `seconds` for the answers under way, then ends each with one typed error.
    func drain(seconds: Int) async {
        isDraining.store(true, ordering: .releasing)
        for supervisor in supervisors {
            guard case .ready(let link) = await supervisor.state else { continue }
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await link.whenIdle() }
                group.addTask { try? await Task.sleep(for: .seconds(seconds)) }
                await group.next()
                await link.fail(
                    .modelNotReady(
                        name: supervisor.plan.spec.name, reason: "the node is stopping", retryAfterSeconds: 10))
                group.cancelAll()
            }
        }
    }

    private func supervisor(named name: String) throws(GenerationError) -> PlacementSupervisor {
        if let exact = supervisors.first(where: { $0.plan.spec.name == name }) { return exact }
        if name == "auto", let only = supervisors.first { return only }
        throw .modelNotFound(name: name, available: supervisors.map(\.plan.spec.name))
    }

    func models() async -> [ServedModel] {
        var models: [ServedModel] = []
        for supervisor in supervisors {
            let state: ServedModel.State
            switch await supervisor.state {
            case .ready: state = .ready
            case .starting(let reason): state = .starting(reason: reason)
            case .failed(let reason): state = .failed(reason: reason)
            case .stopped: state = .starting(reason: "the node is stopping")
            }
            models.append(ServedModel(card: supervisor.plan.card, state: state, created: supervisor.created))
        }
        return models
    }

    func metrics() async -> [MetricSample] {
        var restarts = 0
        var active = 0
        var queued = 0
        var lanes = 0
        var (drafted, accepted) = (0, 0)
        for supervisor in supervisors {
            restarts += await supervisor.restarts
            guard case .ready(let link) = await supervisor.state, let report = await link.report() else { continue }
            active += report.active
            queued += report.queued
            lanes += report.lanes
            (drafted, accepted) = (drafted + report.draftedTokens, accepted + report.acceptedTokens)
        }
        return [
            MetricSample(
                name: "skein_lanes_in_use", help: "Lanes owned by requests.", kind: .gauge, value: Double(lanes)),
            MetricSample(
                name: "skein_placement_restarts_total", help: "Times a placement was started again.", kind: .counter,
                value: Double(restarts)),
            MetricSample(
                name: "skein_requests_active", help: "Requests with a lane.", kind: .gauge, value: Double(active)),
            MetricSample(
                name: "skein_requests_queued", help: "Requests in the waiting line.", kind: .gauge,
                value: Double(queued)),
            MetricSample(
                name: "skein_requests_refused_total", help: "Requests refused before they reached a placement.",
                kind: .counter, value: Double(failures.load(ordering: .relaxed))),
            MetricSample(
                name: "skein_requests_total", help: "Requests taken.", kind: .counter,
                value: Double(requests.load(ordering: .relaxed))),
            MetricSample(
                name: "skein_speculation_accepted_total", help: "Guessed tokens that were right.", kind: .counter,
                value: Double(accepted)),
            MetricSample(
                name: "skein_speculation_drafted_total", help: "Guessed tokens that were computed.", kind: .counter,
                value: Double(drafted)),
        ]
    }
}
