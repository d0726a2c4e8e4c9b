import Gateway
import Runner
import Synchronization
import Vocabulary

/// The node as the gateway sees it: finds what a request names, among the deployments of this node alone and those of
/// the cluster, and hands the request over.
final class NodeBackend: Generating {
    private let supervisors: [PlacementSupervisor]
    private let router: ClusterRouter?
    private let nextID = Atomic<UInt64>(UInt64.random(in: 1...UInt64.max / 2))
    private let requests = Atomic<UInt64>(0)
    private let failures = Atomic<UInt64>(0)
    private let isDraining = Atomic<Bool>(false)

    init(_ supervisors: [PlacementSupervisor], router: ClusterRouter?) {
        self.supervisors = supervisors
        self.router = router
    }

    func nextRequestID() -> RequestID { RequestID(nextID.add(1, ordering: .relaxed).newValue) }

    func generate(_ request: GenerationRequest) async -> GenerationStream {
        requests.add(1, ordering: .relaxed)
        do throws(GenerationError) {
            guard !isDraining.load(ordering: .acquiring) else {
                throw .modelNotReady(name: request.model, reason: "the node is stopping", retryAfterSeconds: 10)
            }
            let link = try await link(to: request.model)
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

    private func link(to name: String) async throws(GenerationError) -> ControlLink {
        if let exact = supervisors.first(where: { $0.plan.spec.name == name }) { return try await exact.ready() }
        let own = supervisors.map(\.plan.spec.name)
        guard let router else {
            if name == "auto", let only = supervisors.first { return try await only.ready() }
            throw .modelNotFound(name: name, available: own)
        }
        if name == "auto" {
            if let only = supervisors.first { return try await only.ready() }
            guard let first = await router.models().first else { throw .modelNotFound(name: name, available: own) }
            return try await router.way(to: first.card.id)
        }
        do throws(GenerationError) {
            return try await router.way(to: name)
        } catch {
            guard case .modelNotFound(_, let available) = error else { throw error }
            throw .modelNotFound(name: name, available: own + available)
        }
    }

    /// Refuses new requests, waits up to `seconds` for the answers under way, then ends each with one typed error.
    func drain(seconds: Int) async {
        isDraining.store(true, ordering: .releasing)
        var links: [(name: String, link: ControlLink)] = []
        for supervisor in supervisors {
            guard case .ready(let link) = await supervisor.state else { continue }
            links.append((supervisor.plan.spec.name, link))
        }
        for link in await router?.links ?? [] { links.append(("auto", link)) }
        let all = links
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for (_, link) in all { await link.whenIdle() } }
            group.addTask { try? await Task.sleep(for: .seconds(seconds)) }
            await group.next()
            for (name, link) in all {
                await link.fail(.modelNotReady(name: name, reason: "the node is stopping", retryAfterSeconds: 10))
            }
            group.cancelAll()
        }
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
        let own = Set(models.map(\.card.id))
        return models + (await router?.models() ?? []).filter { !own.contains($0.card.id) }
    }

    func metrics() async -> [MetricSample] {
        var restarts = 0
        var reports = await router?.reports() ?? []
        for supervisor in supervisors {
            restarts += await supervisor.restarts
            guard case .ready(let link) = await supervisor.state, let report = await link.report() else { continue }
            reports.append(report)
        }
        func sum(_ value: (EntryReport) -> Int) -> Double { Double(reports.reduce(0) { $0 + value($1) }) }
        return [
            MetricSample(
                name: "skein_lanes_in_use", help: "Lanes owned by requests.", kind: .gauge, value: sum(\.lanes)),
            MetricSample(
                name: "skein_placement_restarts_total", help: "Times a placement was started again.", kind: .counter,
                value: Double(restarts)),
            MetricSample(
                name: "skein_requests_active", help: "Requests with a lane.", kind: .gauge, value: sum(\.active)),
            MetricSample(
                name: "skein_requests_queued", help: "Requests in the waiting line.", kind: .gauge,
                value: sum(\.queued)),
            MetricSample(
                name: "skein_requests_refused_total", help: "Requests refused before they reached a placement.",
                kind: .counter, value: Double(failures.load(ordering: .relaxed))),
            MetricSample(
                name: "skein_requests_total", help: "Requests taken.", kind: .counter,
                value: Double(requests.load(ordering: .relaxed))),
        ]
    }
}
