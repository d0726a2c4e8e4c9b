import FoundationEssentials
import Identity
import LlamaEngine
import NIOCore
import NIOPosix
import Serving
import Synchronization
import Transport
import Vocabulary
import Wire

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The runner process: one stage of one placement.
///
/// It takes `RunnerCommand`s as lines of JSON from standard input and answers with `RunnerReport`s on standard output;
/// log lines go to standard error. The end of standard input means that the node is gone, and ends the process: no
/// runner outlives its node.
package enum RunnerMain {
    /// Runs until standard input ends or the stage is lost. Answers the process's exit code.
    package static func run() async -> Int32 {
        let commands = commandLines()
        var iterator = commands.makeAsyncIterator()
        do {
            guard let first = await iterator.next(), case .configure(let configuration) = try decode(first) else {
                throw RunnerError.badCommand(reason: "the first line must be a configuration")
            }
            let stage = try await load(configuration)
            while let line = await iterator.next() {
                switch try decode(line) {
                case .connect(let next, let entry, let chain):
                    do {
                        try await stage.connect(next, entry, chain)
                    } catch {
                        report(.detached(reason: "\(error)"))
                        return 1
                    }
                    report(.ready)
                case .trust(let pass): try stage.trust(pass)
                case .archive: await stage.archive { report(.archived) }
                case .report: report(.times(await stage.times()))
                case .configure: throw RunnerError.badCommand(reason: "a second configuration")
                }
            }
            return 0
        } catch {
            report(.failed(reason: "\(error)"))
            return 1
        }
    }

    // MARK: Standard input and output

    /// Lines of standard input, read by a thread of their own because reading blocks.
    private static func commandLines() -> AsyncStream<String> {
        let (lines, continuation) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .bufferingNewest(64))
        let reader = NIOThreadPool(numberOfThreads: 1)
        reader.start()
        reader.submit { _ in
            while let line = readLine() { continuation.yield(line) }
            continuation.finish()
        }
        return lines
    }

    private static func decode(_ line: String) throws(RunnerError) -> RunnerCommand {
        do {
            return try JSONDecoder().decode(RunnerCommand.self, from: Data(line.utf8))
        } catch {
            throw .badCommand(reason: "\(error)")
        }
    }

    private static let output = Mutex(())

    /// Writes one report as a line.
    static func report(_ report: RunnerReport) {
        guard var line = try? JSONEncoder().encode(report) else { return }
        line.append(UInt8(ascii: "\n"))
        output.withLock { _ in
            line.withUnsafeBytes { bytes in
                var rest = bytes[...]
                while !rest.isEmpty {
                    let written = write(STDOUT_FILENO, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                    guard written > 0 else { return }
                    rest = rest.dropFirst(written)
                }
            }
        }
    }
}

/// A started stage, whatever its engine.
struct RunningStage: Sendable {
    /// Opens the links to the next stage and, on the last stage, to the entry.
    let connect: @Sendable (LinkTarget?, LinkTarget?, ChainFacts) async throws -> Void
    /// Goes by another certificate and trust.
    let trust: @Sendable (LinkPass) throws -> Void
    /// Where the time went so far.
    let times: @Sendable () async -> StageTimes
    /// Writes what is kept, and calls back when nothing is left to be written.
    let archive: @Sendable (@escaping @Sendable () -> Void) async -> Void
}

extension RunnerMain {
    private static func load(_ configuration: RunnerConfiguration) async throws -> RunningStage {
        let began = ContinuousClock.now
        var context = ContextOptions(
            cellCount: configuration.cellCount, laneCount: configuration.laneCount + configuration.shelfCount,
            rowLimit: configuration.rowLimit, threads: configuration.threads)
        context.keyType = configuration.keyType
        context.valueType = configuration.valueType
        var options = ModelOptions()
        options.gpuLayers = configuration.gpuLayers
        options.devices = configuration.devices
        options.loadsHeads = configuration.usesHeads
        let lastTenth = Mutex(-1)
        var engine = try LlamaStageEngine(
            LlamaStageConfiguration(
                path: configuration.path, layers: configuration.layers, layerCount: configuration.layerCount,
                recipe: configuration.recipe, context: context, model: options),
            progress: { fraction in
                // A report per tenth is enough for a progress bar.
                let isNew = lastTenth.withLock { last in
                    defer { last = max(last, Int(fraction * 10)) }
                    return Int(fraction * 10) > last
                }
                if isNew { report(.loading(fraction: Double(fraction))) }
                return true
            })
        let loadSeconds = (ContinuousClock.now - began).inSeconds
        let costs = configuration.costs ?? CostMeasurement.costs(of: &engine)
        let shape = engine.shape
        var pauses = false
        do { pauses = try PauseTrial.passes(&engine) } catch {
            RunnerLog.warn("prompts are not left between layers: \(error)")
        }
        // Heads that do not even guess now are not asked.
        let heads = engine.hasHeads ? CostMeasurement.guessCosts(of: &engine).map { HeadFacts(costs: $0) } : nil
        let model = engine.model
        let files = configuration.archive.flatMap { settings in
            let identity = ArchiveIdentity(configuration, width: shape.width, engine: LlamaLibrary.version)
            return SequenceFiles(settings, identity: identity, stage: configuration.stageIndex)
        }
        let draft = try loadDraft(configuration, beside: model, context, options)
        let projector = try loadProjector(configuration, of: model)
        report(
            .loaded(
                LoadedStage(
                    shape: shape, memory: engine.memory, vocabularySize: model.model.vocabularySize,
                    trainedContext: model.model.trainedContext,
                    loadSeconds: loadSeconds, costs: costs, isEncoder: model.model.isEncoder, archives: files != nil,
                    draftMemory: draft?.memory, heads: heads, pauses: pauses)))
        let tools: EntryTools? =
            configuration.isEntry
            ? EntryTools(
                tokenizer: LlamaTokenizer(model), renderer: try LlamaRenderer(model, projector: projector),
                window: configuration.window, isEncoder: model.model.isEncoder)
            : nil
        return try await serve(configuration, engine, shape, tools, draft?.loaded, files)
    }

    /// Loads and times the draft model of an entry stage; nil without one.
    private static func loadDraft(
        _ configuration: RunnerConfiguration, beside model: SharedModel, _ context: ContextOptions,
        _ options: ModelOptions
    ) throws -> (loaded: LoadedDraft, memory: StageMemory)? {
        guard configuration.isEntry, configuration.speculation.usesModel, let path = configuration.draftPath else {
            return nil
        }
        // Its own heads may not fill the blocks that the model's do, and its cache is small.
        var context = context
        (context.keyType, context.valueType) = (.f16, .f16)
        var engine = try LlamaStageEngine.draft(
            path: path, beside: model, options: context, model: options)
        let memory = engine.memory
        let facts = DraftFacts(costs: CostMeasurement.costs(of: &engine))
        return (LoadedDraft(room: DraftRoom(engine), facts: facts), memory)
    }

    /// Loads the projector of an entry stage; nil without one.
    private static func loadProjector(
        _ configuration: RunnerConfiguration, of model: SharedModel
    ) throws -> LlamaProjector? {
        guard configuration.isEntry, let path = configuration.projectorPath else { return nil }
        return try LlamaProjector(
            path: path, identity: Array((configuration.projectorDigest ?? path).utf8), model: model,
            threads: configuration.threads, usesGPU: configuration.gpuLayers != 0)
    }

    /// Listens, and makes the stage's driver over a loaded engine.
    private static func serve<Engine: StageEngine & ~Copyable>(
        _ configuration: RunnerConfiguration, _ engine: consuming sending Engine, _ shape: StageShape,
        _ tools: EntryTools?, _ draft: LoadedDraft?, _ files: SequenceFiles?
    ) async throws -> RunningStage {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let eventLoop = group.next()
        let identity = try RunnerIdentity(configuration, width: shape.width)
        let room = ComputeRoom(engine, stageIndex: configuration.stageIndex, format: identity.format, files: files)
        let lost: @Sendable (StageLoss) -> Void = { loss in
            // The chain is broken: the node sees the exit and starts the placement anew under a new epoch.
            switch loss {
            case .neighbour(let reason): report(.detached(reason: reason))
            case .own(let reason): report(.failed(reason: reason))
            }
            exit(3)
        }
        let door = try configuration.remote.map { remote in
            LinkDoor(security: try ClusterSecurity(remote.pass) { .current }, gate: ConnectionGate(now: uptime))
        }
        let trust: @Sendable (LinkPass) throws -> Void = { try door?.adopt($0) }
        let dial: @Sendable (LinkTarget, any FrameLinkDelegate) async throws -> FrameLink = { target, delegate in
            let options = try LinkEndpoint.Options(
                to: target, conditions: configuration.conditions,
                secure: door.map { $0.dial(_:named:) })
            return try await LinkEndpoint(on: eventLoop, options: options).connect(
                to: target.address, delegate: delegate)
        }
        let index = configuration.stageIndex
        if let tools {
            var settings = settings(configuration, shape)
            settings.runsWholePrompts = tools.isEncoder
            settings.draft = draft?.facts
            let driver = EntryDriver(
                identity: identity, settings: settings, tools: tools, room: room, draft: draft?.room,
                eventLoop: eventLoop, lost: lost)
            if configuration.stages.count == 1 { try await driver.computeInTurns() }
            try await listen(eventLoop, configuration, door) { driver }
            return RunningStage(
                connect: { next, _, chain in
                    if let heads = chain.heads { await driver.adopt(heads) }
                    if chain.pauses { await driver.letPause() }
                    if let costs = chain.costs { await driver.adopt(CostBatchPolicy(costs)) }
                    if let next { try await driver.dialled(dial(next, driver)) }
                    try await opened { report in await driver.whenOpened(report) }
                    if chain.archives, let files { await driver.open(files, known: files.records()) }
                }, trust: trust, times: { await driver.times }, archive: { done in await driver.archiveAll(done) })
        }
        let driver = StageDriver(identity: identity, room: room, eventLoop: eventLoop, lost: lost)
        files?.whenDone { key, outcome in
            let report = ArchiveReport(key: key, stage: index, outcome: outcome)
            eventLoop.execute { driver.assumeIsolated { $0.tell(report) } }
        }
        try await listen(eventLoop, configuration, door) { driver }
        return RunningStage(
            connect: { next, entry, _ in
                guard let target = configuration.isLast ? entry : next else {
                    throw RunnerError.badConfiguration(field: "connect", value: "stage \(index)", allowed: "an address")
                }
                try await driver.dialled(dial(target, driver))
                try await opened { report in await driver.whenOpened(report) }
            }, trust: trust, times: { StageTimes(room.statistics, engineTrace: room.trace, chainTrace: []) },
            archive: { $0() })
    }

    private static func settings(_ configuration: RunnerConfiguration, _ shape: StageShape) -> EngineSettings {
        var settings = EngineSettings(
            shapes: configuration.stages.map { stage in
                var other = shape
                other.layers = stage
                return other
            }, window: configuration.window, seed: configuration.seed, shelfCount: configuration.shelfCount,
            prefixReuse: configuration.prefixReuse)
        settings.speculation = configuration.speculation
        settings.canTrim = configuration.speculation != .off
        return settings
    }

    /// A clock that only goes forward, for the gate.
    private static func uptime() -> Instant { Instant(nanoseconds: Int64(NIODeadline.now().uptimeNanoseconds)) }

    private static func listen(
        _ eventLoop: any EventLoop, _ configuration: RunnerConfiguration, _ door: LinkDoor?,
        accept: @escaping @Sendable () -> any FrameLinkDelegate
    ) async throws {
        let channel = try await LinkEndpoint(on: eventLoop).listen(at: configuration.listen, accept: accept)
        var address = configuration.listen
        if case .tcp(let host, _) = address, let port = channel.localAddress?.port {
            address = .tcp(host: host, port: port)
        }
        var remotePort: Int?
        if let remote = configuration.remote, let door {
            var options = LinkEndpoint.Options()
            options.secure = { try door.accept($0) }
            let open = try await LinkEndpoint(on: eventLoop, options: options)
                .listen(at: .tcp(host: remote.host, port: remote.port), accept: accept)
            remotePort = open.localAddress?.port
        }
        report(.listening(address, remotePort: remotePort))
    }

    private static func opened(
        _ wait: (@escaping @Sendable (RunnerError?) -> Void) async -> Void
    ) async throws(RunnerError) {
        let (results, continuation) = AsyncStream.makeStream(of: RunnerError?.self)
        await wait { continuation.yield($0) }
        for await result in results {
            if let result { throw result }
            return
        }
    }
}
