import Dialects
import Gateway
import Runner
import Serving
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

    /// The models that were made here; nil on a node that keeps none.
    private let variants: ModelVariants?
    /// Who provides the models made here, as clients see it.
    private let owner: String
    /// Whether this node's own models are computed by a GPU; nil when that is not known.
    private let isOnGPU: Bool?

    init(
        _ supervisors: [PlacementSupervisor], router: ClusterRouter?, variants: ModelVariants? = nil,
        owner: String = "skein", isOnGPU: Bool? = nil
    ) {
        self.supervisors = supervisors
        self.router = router
        self.variants = variants
        self.owner = owner
        self.isOnGPU = isOnGPU
    }

    func nextRequestID() -> RequestID { RequestID(nextID.add(1, ordering: .relaxed).newValue) }

    func generate(_ request: GenerationRequest) async -> GenerationStream {
        requests.add(1, ordering: .relaxed)
        let arrival = Arrival(of: request)
        do throws(GenerationError) {
            guard !isDraining.load(ordering: .acquiring) else {
                throw .modelNotReady(name: request.model, reason: "the node is stopping", retryAfterSeconds: 10)
            }
            var request = request
            let target = try await target(of: request.model, mayDeploy: request.residency?.mayDeploy ?? false)
            request.model = target.name
            let variant = variant(request.model)
            if let variant { Ollama.apply(variant, to: &request) }
            request.stated = nil
            guard let supervisor = try own(request.model) else {
                request.elapsedSeconds = arrival.elapsedSeconds
                return try await routed(request, digest: variant == nil ? target.digest : variant?.digest)
            }
            let link = try await supervisor.ready(for: arrival)
            request.elapsedSeconds = arrival.elapsedSeconds
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

    /// What was made here by a name. What this node was started to serve comes first: it was there before.
    private func variant(_ name: String) -> ModelVariant? {
        guard let variants, !supervisors.contains(where: { $0.plan.spec.name == name }) else { return nil }
        return variants.find(name)
    }

    /// The model that a client's name means: the name it is served by, and its content where that is known.
    private struct Target {
        var name: String
        var digest: String?
    }

    func resolved(_ model: String, mayDeploy: Bool) async throws(GenerationError) -> String {
        do throws(GenerationError) {
            return try await target(of: model, mayDeploy: mayDeploy).name
        } catch {
            failures.add(1, ordering: .relaxed)
            throw error
        }
    }

    /// Names as they are served by are found without a look at all the others.
    private func target(of name: String, mayDeploy: Bool) async throws(GenerationError) -> Target {
        let isHere = supervisors.contains { $0.plan.spec.name == name } || variants?.find(name)?.name == name
        if isHere || isDraining.load(ordering: .acquiring) { return Target(name: name) }
        if let router, await router.isDeployed(name) { return Target(name: name) }
        let models =
            supervisors.map(\.plan.named)
            + (variants?.all ?? []).map { NamedModel(id: $0.name, standing: .made) }
            + (await router?.named(mayDeploy: mayDeploy) ?? [])
        var preferred = supervisors.first?.plan.spec.name
        if preferred == nil { preferred = await router?.preferredName }
        let resolver = ModelResolver(models, preferred: preferred)
        do throws(ModelNameError) {
            let found = try resolver.resolve(name)
            return Target(
                name: resolver.canonicalName(of: found), digest: found.digest.isEmpty ? nil : found.digest)
        } catch {
            throw GenerationError(error)
        }
    }

    /// The deployment of this node alone that has a name; nil when the cluster has to be asked.
    private func own(_ name: String) throws(GenerationError) -> PlacementSupervisor? {
        if let exact = supervisors.first(where: { $0.plan.spec.name == name }) { return exact }
        if router == nil { throw .modelNotFound(name: name, available: supervisors.map(\.plan.spec.name)) }
        return nil
    }

    /// An answer by a placement of the cluster, which goes on by another one when that is lost.
    private func routed(_ request: GenerationRequest, digest: String?) async throws(GenerationError) -> GenerationStream
    {
        guard let router else { throw .modelNotFound(name: request.model, available: []) }
        let own = supervisors.map(\.plan.spec.name)
        let name = request.model
        let start = Journey(to: name, digest: digest, residency: request.residency, ownNames: own)
        let answer = JournaledAnswer(request, start) { journey, isWanted async throws(GenerationError) in
            try await router.step(&journey, isWanted: isWanted)
        }
        let keepAlive = request.residency?.keepAlive
        return GenerationStream(
            events: AsyncStream { [name] in
                let event = await answer.next()
                if let keepAlive, case .finished = event { router.note(keepAlive, for: name) }
                return event
            } onCancel: {
                answer.cancel()
            }
        ) {
            answer.cancel()
        }
    }

    /// Refuses new requests, waits up to `seconds` for the answers under way, then ends each with one typed error.
    func drain(seconds: Int) async {
        isDraining.store(true, ordering: .releasing)
        await router?.beginDrain()
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
        await router?.close(.modelNotReady(name: "auto", reason: "the node is stopping", retryAfterSeconds: 10))
    }

    func unload(_ model: String) async throws(GenerationError) {
        var model = try await target(of: model, mayDeploy: true).name
        model = variant(model)?.base ?? model
        guard let router, try own(model) == nil else {
            throw .unsupported(feature: "Unloading '\(model)'", remedy: "stop the node")
        }
        try await router.unload(model)
    }

    func keep(_ model: String, for time: KeepAlive) async {
        guard let router, let target = try? await target(of: model, mayDeploy: true) else { return }
        let name = variant(target.name)?.base ?? target.name
        if !supervisors.contains(where: { $0.plan.spec.name == name }) { router.note(time, for: name) }
    }

    /// Has what is kept of ended requests written to disk, for `seconds` at most.
    func archive(seconds: Int) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [supervisors] in
                await withDiscardingTaskGroup { each in
                    for supervisor in supervisors { each.addTask { await supervisor.archive() } }
                }
            }
            group.addTask { try? await Task.sleep(for: .seconds(seconds)) }
            await group.next()
            for supervisor in supervisors { await supervisor.endArchiveWait() }
            group.cancelAll()
        }
    }

    func models() async -> [ServedModel] {
        let served = await served()
        guard let variants else { return served }
        return variants.all.reduce(into: served) { models, variant in
            guard !supervisors.contains(where: { $0.plan.spec.name == variant.name }) else { return }
            let made = Self.model(of: variant, served, owner: owner)
            models.removeAll { $0.card.id == variant.name }
            models.append(made)
        }
    }

    /// A model that was made here, in the state of its base.
    private static func model(of variant: ModelVariant, _ served: [ServedModel], owner: String) -> ServedModel {
        let base =
            served.first { $0.card.id == variant.base }
            ?? served.first { variant.digest != nil && $0.card.digest == variant.digest }
        var model =
            base
            ?? ServedModel(
                card: ModelCard(unknown: variant.name, digest: variant.digest ?? ""),
                state: .failed(
                    reason: "its base '\(variant.base)' is not served here; deploy it by 'skein deploy'"), created: 0)
        model.card.id = variant.name
        (model.aliases, model.sources, model.standing) = ([], [], .made)
        if !variant.license.isEmpty { model.card.license = variant.license }
        (model.created, model.owner, model.variant) = (variant.created, owner, variant)
        return model
    }

    /// The models there are without those that are only names made here.
    func served() async -> [ServedModel] {
        var models: [ServedModel] = []
        for supervisor in supervisors {
            let state: ServedModel.State
            switch await supervisor.state {
            case .ready: state = .ready
            case .starting(let reason): state = .starting(reason: reason)
            case .failed(let reason): state = .failed(reason: reason)
            case .stopped: state = .starting(reason: "the node is stopping")
            }
            var model = ServedModel(card: supervisor.plan.card, state: state, created: supervisor.created)
            model.isOnGPU = supervisor.plan.spec.gpuLayers == 0 ? false : isOnGPU
            model.aliases = supervisor.plan.spec.aliases
            (model.sources, model.standing) = (supervisor.plan.sources, .own)
            models.append(model)
        }
        let own = Set(models.map(\.card.id))
        let ownDigests = Set(models.map(\.card.digest))
        return models
            + (await router?.models() ?? []).filter { model in
                // What this node serves by another name is no second model.
                !own.contains(model.card.id) && !(model.state == .available && ownDigests.contains(model.card.digest))
            }
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
        return Self.speculation(reports) + [
            MetricSample(
                name: "skein_cells_in_use", help: "KV cells that running requests use.", kind: .gauge,
                value: sum(\.cells)),
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

    /// What guesses brought, together and by their source.
    private static func speculation(_ reports: [EntryReport]) -> [MetricSample] {
        var samples: [MetricSample] = []
        func count(_ name: String, _ help: String, _ value: Int) {
            samples.append(
                MetricSample(name: "skein_speculation_\(name)", help: help, kind: .counter, value: Double(value)))
        }
        count(
            "accepted_total", "Guessed tokens that were right.", reports.reduce(0) { $0 + $1.acceptedTokens })
        count(
            "drafted_total", "Guessed tokens that were computed.", reports.reduce(0) { $0 + $1.draftedTokens })
        for source in GuessSource.allCases {
            let counts = reports.reduce(SpeculationCounts()) { $0 + ($1.speculated[source] ?? SpeculationCounts()) }
            let origin =
                switch source {
                case .ngram: "by the text so far"
                case .draft: "by a draft model"
                case .mtp: "by the model's own heads"
                }
            count("\(source.rawValue)_accepted_total", "Tokens guessed \(origin) that were right.", counts.accepted)
            count("\(source.rawValue)_drafted_total", "Tokens guessed \(origin) that were computed.", counts.drafted)
            guard let gain = counts.gain else { continue }
            samples.append(
                MetricSample(
                    name: "skein_speculation_\(source.rawValue)_gain",
                    help: "Tokens per time of steps with tokens guessed \(origin), over that of steps without.",
                    kind: .gauge, value: gain))
        }
        return samples
    }
}

extension ModelCard {
    /// The card of a model of which nothing is known but its name.
    init(unknown name: String, digest: String) {
        self.init(
            id: name, architecture: "unknown", layerCount: 0, width: 0, trainedContext: 0, servedContext: 0,
            vocabularySize: 0, parameterCount: 0, weightBytes: ByteCount(0), digest: digest)
    }
}
