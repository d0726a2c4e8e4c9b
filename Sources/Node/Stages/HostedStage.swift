import Cluster
import GGUF
import HTTPTypes
import Identity
import Logging
import ModelStore
import NIOCore
import NIOPosix
import Runner
import Serving
import Transport
import Vocabulary
import Wire

/// One stage of one epoch on this node: fetched, cut, loaded, linked, and at last stopped.
///
/// The control plane says what to do, one `StageTask` after the other; what becomes of each is reported.
actor HostedStage {
    /// How long a canary token may take. **Units:** seconds.
    private static let canarySeconds: Int64 = 25
    /// Time between looks at a stage that is being drained. **Units:** milliseconds.
    private static let lookMilliseconds = 100
    /// Time between looks at how long a stage was idle. **Units:** milliseconds.
    private static let idleLookMilliseconds = 1000
    /// Reports of the runner that wait to be heard.
    private static let noticeLimit = 1024
    /// Time between looks at whether the links are open. **Units:** milliseconds.
    private static let linkMilliseconds = 5

    let placement: PlacedReplica
    let index: Int
    private let host: StageHosting
    private let report: @Sendable (StageReport) -> Void
    private let socket: String
    private let (stops, stop) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    private let (commands, command) = AsyncStream.makeStream(of: RunnerCommand.self)
    private var plan: RunnerPlan?
    /// What the runner was told last.
    private var pass: LinkPass?
    private var width = 0
    private var isEncoder = false
    private var costs: StepCosts?
    /// What is known of the model's own head on a last stage; nil without one.
    private var heads: HeadFacts?
    private var pauses = false
    private var archives = false
    private var port: Int?
    private var isListening = false
    private var lastWords: String?
    private var isDetached = false
    private var file: StageFile?
    private var draftFile: StageFile?
    /// Holds the fetched projector of an entry stage.
    private var projectorPin: PinnedFile?
    private var isReady = false
    private var hasEnded = false
    private(set) var control: ControlLink?
    private var status = StageStatus.fetching

    init(
        _ placement: PlacedReplica, index: Int, host: StageHosting, report: @escaping @Sendable (StageReport) -> Void
    ) {
        self.placement = placement
        self.index = index
        self.host = host
        self.report = report
        socket = "\(host.folder)/c\(placement.epoch.pathText)-\(index).sock"
    }

    var epoch: Epoch { placement.epoch }

    // MARK: Loading and living

    /// Fetches, loads and runs the stage until it is stopped or lost.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.live() }
            group.addTask { [stops] in for await _ in stops { return } }
            await group.next()
            group.cancelAll()
        }
        hasEnded = true
        file = nil
        draftFile = nil
        projectorPin = nil
    }

    private func live() async {
        tell(.fetching)
        let configuration: RunnerConfiguration
        do {
            configuration = try await prepare()
        } catch {
            // What was stopped, or is not wanted any more, has nothing to report.
            guard !Task.isCancelled, !(error is CancellationError) else { return }
            let obstacle = error as? StageObstacle
            return end(obstacle?.status ?? .fetchFailed, obstacle?.reason ?? "\(error)")
        }
        tell(.loading)
        let process = RunnerProcess(executable: host.executable, configuration: configuration, logger: host.logger)
        let (notices, notify) = AsyncStream.makeStream(
            of: RunnerReport.self, bufferingPolicy: .bufferingNewest(Self.noticeLimit))
        let exit = await withTaskGroup(of: Void.self) { group in
            // What the runner said last is heard before its exit is told.
            group.addTask { for await notice in notices { await self.heard(notice, configuration) } }
            let exit = await process.run(commands: commands) { notify.yield($0) }
            notify.finish()
            await group.waitForAll()
            return exit
        }
        let reason = Task.isCancelled || exit == .stopped ? nil : lastWords ?? exit.description
        await finish(reason)
        guard let reason else { return }
        host.logger.warning(
            "a stage was lost", metadata: ["stage": "\(placement.replica)/\(index)", "why": "\(reason)"])
        end(isDetached ? .detached : .crashed, reason)
    }

    /// Ends the runner; `run` returns soon.
    func halt() { stop.yield(()) }

    /// Makes the stage's file and works out what its runner is told.
    private func prepare() async throws -> RunnerConfiguration {
        guard let deployment = await host.deployment(placement.replica.deployment),
            deployment.wish == placement.wish || placement.wish == .zero
        else { throw CancellationError() }
        guard !deployment.digest.isEmpty else {
            throw StageObstacle(.fetchFailed, "the deployment names no digest of its model; deploy it again")
        }
        let own = placement.stages[index]
        if let usable = host.usableBytes(), Double(usable) * StageHost.memoryTolerance < Double(own.bytes.bytes) {
            throw StageObstacle(
                .refused, "the stage needs \(own.bytes), and \(ByteCount(usable)) are free on this node now")
        }
        host.logger.debug("a stage is fetched", metadata: ["stage": "\(placement.replica)/\(index)"])
        let (file, model) = try await host.library.stage(
            deployment.identity, layers: own.layers, heads: deployment.usesHeads
        ) { thousandths in
            var progress = StageReport(epoch: self.placement.epoch, status: .fetching)
            progress.progress = thousandths
            self.report(progress)
        }
        var spec = DeploymentSpec(name: deployment.name, path: file.path)
        if placement.contextTokens > 0 { spec.window = Int(clamping: placement.contextTokens) }
        if placement.lanes > 0 { spec.laneCount = Int(clamping: placement.lanes) }
        spec.threads = host.threads
        spec.devices = host.devices
        spec.archive = host.archive
        (spec.keyType, spec.valueType) = (deployment.cacheKeys, deployment.cacheValues)
        spec.drafting = try await drafting(deployment)
        let plan: RunnerPlan
        let cutter = try model.cutter()
        spec.projector = try await projector(deployment, cutter)
        do {
            plan = try RunnerPlan(
                spec, of: model, cutter, digest: deployment.digest, stages: placement.stages.map(\.layers),
                caches: host.library.caches)
        } catch {
            throw StageObstacle(.crashed, "\(error)")
        }
        self.plan = plan
        self.file = file
        width = cutter.width
        var configuration = plan.configuration(
            index, file: file, cluster: host.cluster, placement: "\(placement.replica)", epoch: placement.epoch,
            listen: .unix(path: socket), sharing: 1)
        let pass = host.pass()
        self.pass = pass
        configuration.remote = RemoteListening(host: host.address, port: 0, pass: pass)
        return configuration
    }

    /// What the entry stage guesses with, or the last one for it; the draft model's file is fetched like the stage's
    /// own.
    private func drafting(_ deployment: Deployment) async throws -> DeploymentSpec.Drafting {
        if deployment.usesHeads { return .mtp }
        guard index == 0 else { return .off }
        guard let digest = deployment.draftDigest else {
            return deployment.draft == "ngram" ? .ngram : deployment.draft == "off" ? .off : .auto
        }
        let draft = ModelIdentity(digest: digest)
        let layers = try await host.library.header(draft).cutter().layerCount
        let (file, _) = try await host.library.stage(draft, layers: LayerRange(first: 0, end: layers)) { _ in }
        draftFile = file
        return .model(path: file.path)
    }

    /// What the entry stage sees with, fetched like the stage's own file; nil on other stages and for text alone.
    private func projector(_ deployment: Deployment, _ cutter: ModelCutter) async throws -> String? {
        guard index == 0, let identity = deployment.projectorIdentity else { return nil }
        let count = placement.stages.count
        if count > 1, cutter.laterStagesReadTokens {
            let obstacle = ProjectorObstacle.stagesReadTokens(stages: count)
            throw StageObstacle(.crashed, "the projector cannot be used: \(obstacle)")
        }
        do {
            let held = try await host.library.whole(identity) { _ in }
            projectorPin = held.pin
            return held.path
        } catch let error as CancellationError {
            throw error
        } catch {
            throw StageObstacle(.fetchFailed, "the projector cannot be had: \(error)")
        }
    }

    private func heard(_ notice: RunnerReport, _ configuration: RunnerConfiguration) {
        switch notice {
        case .loading(let fraction):
            var progress = StageReport(epoch: epoch, status: .loading)
            progress.progress = UInt32(max(0, min(1, fraction)) * 1000)
            if status == .loading { report(progress) }
        case .loaded(let stage):
            width = stage.shape.width
            isEncoder = stage.isEncoder
            costs = stage.costs
            heads = stage.heads
            pauses = stage.pauses ?? false
            archives = stage.archives ?? false
            if let measured = stage.costs { plan?.remember(measured, of: configuration) }
        case .listening(_, let remotePort):
            port = remotePort
            isListening = true
            tell(.loaded)
        case .ready:
            isReady = true
        case .failed(let reason): lastWords = reason
        case .detached(let reason):
            lastWords = reason
            isDetached = true
        case .times, .archived: break
        }
    }

    private func tell(_ status: StageStatus, _ reason: String = "") {
        self.status = status
        host.logger.debug(
            "a stage", metadata: ["stage": "\(placement.replica)/\(index)", "epoch": "\(epoch)", "is": "\(status)"])
        report(StageReport(epoch: epoch, status: status, reason: reason))
    }

    private func end(_ status: StageStatus, _ reason: String) {
        hasEnded = true
        tell(status, String(reason.prefix(StageHost.reasonLength)))
    }

    private func finish(_ reason: String?) async {
        hasEnded = true
        command.finish()
        await control?.fail(.stageLost(stage: index, reason: reason ?? "the stage was stopped"))
        control = nil
    }

    // MARK: Linking

    /// What other nodes need to reach the runner.
    ///
    /// **Throws:** `PeerRefusal` while it does not listen.
    func post() throws -> StagePost {
        guard isListening, !hasEnded, let plan, let port else {
            throw PeerRefusal(.conflict, "The stage of epoch \(epoch) is not loaded on this node.")
        }
        return StagePost(
            cluster: host.cluster, placement: "\(placement.replica)", epoch: epoch, stage: index,
            stages: plan.stages, card: plan.card, width: width, wire: plan.spec.wire.description, port: port,
            costs: costs, archives: archives, heads: heads, passesWishes: true, pauses: pauses)
    }

    /// Where the runner listens for its own node.
    var target: LinkTarget { LinkTarget(.unix(path: socket)) }

    /// Opens the runner's links, and waits until they are open.
    ///
    /// **Throws:** when the runner ends before.
    func connect(
        next: LinkTarget?, entry: LinkTarget?, chain: ChainFacts = ChainFacts()
    ) async throws {
        guard isListening, !hasEnded else {
            throw PeerRefusal(.conflict, "The stage of epoch \(epoch) is not loaded on this node.")
        }
        guard !isReady else { return }
        // Whom the links lead to may have become a member since.
        renewTrust()
        command.yield(.connect(next: next, entry: entry, chain: chain))
        while !isReady {
            guard !hasEnded else {
                throw PeerRefusal(.conflict, "The stage ended: \(lastWords ?? "it was stopped").")
            }
            try await Task.sleep(for: .milliseconds(Self.linkMilliseconds))
        }
    }

    /// Hands the node's certificate and trust to the runner, when they changed since it was told.
    func renewTrust() {
        guard let known = pass, !hasEnded else { return }
        let current = host.pass()
        guard current != known else { return }
        pass = current
        command.yield(.trust(current))
    }

    // MARK: Serving

    /// Links the whole chain and sends one token through it. Called on the entry stage.
    func prove(_ chain: StageChain) async {
        do {
            try await chain.link(self)
        } catch {
            // Stages that do not reach each other; the one that ended, if one did, tells why itself.
            return fail(.detached, "the stages could not be linked: \(error)")
        }
        do {
            guard let hello = try post().hello else {
                throw StageObstacle(.unproven, "the stage's description is damaged")
            }
            let link = ControlLink(hello: hello, eventLoop: MultiThreadedEventLoopGroup.singleton.next())
            try await link.open(target)
            control = link
            try await canary(link)
            tell(.proven)
        } catch {
            fail(.unproven, "\(error)")
        }
    }

    private func fail(_ status: StageStatus, _ reason: String) {
        guard !hasEnded else { return }
        end(status, reason)
        halt()
    }

    private func canary(_ link: ControlLink) async throws {
        let request = GenerationRequest.canary(of: placement.replica.deployment, isEncoder: isEncoder)
        let timer = link.eventLoop.scheduleTask(in: .seconds(Self.canarySeconds)) { link.cancelEarly(RequestID(0)) }
        defer { timer.cancel() }
        switch await link.end(of: request) {
        case .finished: return
        case .failed(let error): throw StageObstacle(.unproven, "the canary token did not come back: \(error)")
        default: throw StageObstacle(.unproven, "the canary token's stream ended without an end")
        }
    }

    /// Takes requests from now on.
    func serve() {
        guard !hasEnded else { return }
        tell(.serving)
    }

    /// Tells, as long as the stage serves, how long it has had no request; only its entry runner knows that, because
    /// requests come to it from every node.
    func watchIdleTime() async {
        while index == 0, !Task.isCancelled, !hasEnded, status == .serving {
            try? await Task.sleep(for: .milliseconds(Self.idleLookMilliseconds))
            guard let known = await control?.report(), status == .serving, !hasEnded else { continue }
            var told = StageReport(epoch: epoch, status: .serving)
            told.idleMilliseconds = known.idleMilliseconds
            report(told)
        }
    }

    /// Says when the last request has ended. New ones do not come, because every node follows the log; one that comes
    /// late is answered all the same.
    func drain() async {
        guard !hasEnded else { return }
        tell(.draining)
        while !Task.isCancelled, !hasEnded, index == 0 {
            guard let known = await control?.report(), known.active + known.queued > 0 else { break }
            try? await Task.sleep(for: .milliseconds(Self.lookMilliseconds))
        }
        guard !hasEnded else { return }
        tell(.drained)
    }
}

/// Why a stage cannot be loaded or does not answer.
struct StageObstacle: Error, CustomStringConvertible {
    let status: StageStatus
    let reason: String

    init(_ status: StageStatus, _ reason: String) {
        self.status = status
        self.reason = reason
    }

    var description: String { reason }
}
