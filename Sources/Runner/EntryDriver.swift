import FoundationEssentials
import NIOCore
package import Serving
import Transport
import Vocabulary
import Wire

/// What the entry stage needs to turn requests into tokens; made from the entry's model.
struct EntryTools: Sendable {
    let tokenizer: any Tokenizer & Sendable
    let renderer: any PromptRenderer & Sendable
    /// Tokens a text that becomes a vector may have.
    let window: Int
    /// Whether the model reads whole texts at once and only makes vectors.
    let isEncoder: Bool
}

/// Drives the entry stage: owns the serving brain, the links to the node, the first hop and the direct return.
///
/// **Isolation:** the runner's event loop is the actor's executor. The brain decides in microseconds; reading requests,
/// templating and tokenising happen on threads of their own, the layers on the compute thread.
actor EntryDriver {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { eventLoop.executor.asUnownedSerialExecutor() }

    /// A step that takes longer keeps requests that arrive from being read. **Units:** nanoseconds.
    private static var turnNanoseconds: Double { 40e6 }

    private let identity: RunnerIdentity
    private let room: any Computing
    private let tools: EntryTools
    private let draft: (any Drafting)?
    /// Reads requests, so that the deadline of one is known while it waits for others to be prepared.
    private let reading = PreparationThread()
    private let preparation = PreparationThread()
    /// Where prompts with images are prepared: encoding one takes long, and other prompts are not to wait behind it.
    /// Without a projector there is none, as all that is left to do is to refuse them.
    private let imaging: PreparationThread?
    private var preparing = Preparations()
    private var preparingTimer: Scheduled<Void>?
    private var links: LinkTable
    private var brain: EngineCore
    private var forward: FrameLink?
    private var returning: FrameLink?
    private var clients: [RequestID: Client] = [:]
    private var steps: [UInt32: StepUnderWay] = [:]
    private var chainTrace = StepTrace()
    private var writer = FrameWriter(version: Handshake.versions.upperBound)
    private var timer: Scheduled<Void>?
    private var turn: LoopTurn?
    /// The step that is computed in this loop's next turn.
    private var nextTurn: ComputeJob?
    private let started = ContinuousClock.now
    private let lost: @Sendable (StageLoss) -> Void
    private var opening = Opening()
    private var files: SequenceFiles?
    private var whenArchived: (@Sendable () -> Void)?

    /// What becomes of a request before it may get a lane.
    private enum Preparation: Sendable {
        case prompt(GenerationRequest, PreparedPrompt)
        /// It wanted to know something of its prompt, and knows it.
        case inspected([GenerationEvent])
    }

    private struct StepUnderWay {
        let id: StepID
        let began: ContinuousClock.Instant
    }

    private struct Client {
        var link: FrameLink
        var sequence: UInt32 = 0
    }

    init(
        identity: RunnerIdentity, settings: EngineSettings, tools: EntryTools, room: any Computing,
        draft: (any Drafting)? = nil, eventLoop: any EventLoop, lost: @escaping @Sendable (StageLoss) -> Void
    ) {
        self.identity = identity
        self.room = room
        self.tools = tools
        self.draft = draft
        self.eventLoop = eventLoop
        self.lost = lost
        links = LinkTable(identity)
        brain = EngineCore(settings: settings, tokenizer: tools.tokenizer, renderer: tools.renderer)
        imaging = identity.configuration.projectorPath.map { _ in PreparationThread() }
    }

    private var isAlone: Bool { identity.configuration.stages.count == 1 }

    /// Takes over the link to the next stage, which this runner dialled.
    func dialled(_ link: FrameLink) throws(WireError) { try links.dialled(link, role: .upstream, to: 1) }

    /// Composes microbatches by another policy from now on.
    func adopt(_ policy: any BatchPolicy) { brain.adopt(policy) }

    /// The last stage guesses with the model's own heads from now on.
    func adopt(_ heads: HeadFacts) {
        brain.adopt(heads)
        asksHeads = brain.asksHeads
    }

    /// Every stage may leave a prompt's rows between its layers from now on.
    func letPause() { brain.adopt(pausableLayers: identity.configuration.layerCount) }

    private var asksHeads = false

    /// Says once that heads which were asked are not asked any more.
    private func watchHeads() {
        guard asksHeads, !brain.asksHeads else { return }
        asksHeads = false
        RunnerLog.warn("the model's own head for several tokens gives no guesses, and is not asked any more")
    }

    /// Keeps sequences on disk from now on; every other stage has a disk, too.
    func open(_ files: SequenceFiles, known: [ArchivedSequence]) {
        self.files = files
        files.whenDone { [self] key, outcome in
            eventLoop.execute {
                self.assumeIsolated {
                    $0.feed(.archiveReport(ArchiveReport(key: key, stage: 0, outcome: outcome)))
                }
            }
        }
        feed(.archiveOpened(known))
    }

    /// Writes what is kept as soon as nothing runs, and calls `report` when nothing is left to be written.
    func archiveAll(_ report: @escaping @Sendable () -> Void) {
        whenArchived = report
        feed(.archiveAll)
    }

    /// Calls `report` once, when the chain is closed: the onward link is open and the last stage has dialled back.
    func whenOpened(_ report: @escaping @Sendable (RunnerError?) -> Void) {
        opening.wait(report)
        reportOpened()
    }

    private func reportOpened() {
        if isAlone || forward != nil && returning != nil { opening.resolve(nil) }
    }

    // MARK: Frames

    private func receive(_ frame: InboundFrame, _ link: FrameLink) {
        do throws(WireError) {
            switch try links.received(frame, on: link) {
            case .nothing, .accepted(.control), .accepted(.upstream): break
            case .accepted(.directReturn):
                // The last stage has one; whoever else says so is not it.
                guard returning == nil else { return link.close() }
                returning = link
                reportOpened()
            case .opened:
                forward = link
                reportOpened()
            case .refused(let role, let reason):
                opening.resolve(.linkFailed(role: "\(role)", reason: reason))
            case .frame(.directReturn, let frame): try takeResult(frame)
            case .frame(.control, let frame): try takeControl(frame, link)
            case .frame(.upstream, _): break
            }
        } catch {
            link.close()
            if link === returning || link === forward { lost(.own("\(error)")) }
        }
    }

    private func takeResult(_ frame: InboundFrame) throws(WireError) {
        switch try StageFrame.parse(frame.header, body: frame.body.readableBytesSpan, width: identity.width) {
        case .result(let tokens, let step):
            guard let done = steps.removeValue(forKey: step) else { return }
            let took = UInt64((ContinuousClock.now - done.began).inNanoseconds)
            chainTrace.append(StepTime(step: step, nanoseconds: took))
            feed(.sampled(done.id, tokens))
        case .failure(let failure, let step):
            guard let done = steps.removeValue(forKey: step) else { return }
            feed(.stepFailed(done.id, stage: failure.stage, failure.engineError))
        case .archiveReport(let report): feed(.archiveReport(report))
        default: break
        }
    }

    private func takeControl(_ frame: InboundFrame, _ link: FrameLink) throws(WireError) {
        switch try RunnerFrame.parse(frame.header, body: frame.body.readableBytesSpan) {
        case .generate(let id, let body): prepare(id, body, link)
        case .cancelRequest(let id):
            if preparing.cancel(id) {
                emit(id, .failed(.cancelled))
            } else {
                feed(.cancel(id))
            }
        case .reportRequest: try report(to: link)
        case .event, .report: throw .unexpectedKind(frame.header.kind, expected: "generate, cancel or report request")
        }
    }

    /// Where this stage's time went so far.
    var times: StageTimes {
        StageTimes(room.statistics, engineTrace: room.trace, chainTrace: chainTrace.times)
    }

    private func report(to link: FrameLink) throws(WireError) {
        let report = EntryReport(
            queued: brain.queuedCount, active: brain.activeCount, lanes: brain.ownedLaneCount, cells: brain.heldCells,
            stepsInFlight: brain.stepsInFlight, speculated: brain.speculated,
            idleMilliseconds: clients.isEmpty ? UInt64(max(0, now.since(lastUse) / .milliseconds(1))) : nil)
        let body = (try? JSONEncoder().encode(report)).map { Array($0) } ?? []
        try writer.report(body.span.bytes)
        link.send(&writer)
    }

    // MARK: Requests

    private func prepare(_ id: RequestID, _ body: [UInt8], _ link: FrameLink) {
        guard clients[id] == nil else { return }
        clients[id] = Client(link: link)
        let ticket: Preparations.Ticket
        let caller = RequestCoding.caller(in: body)
        switch preparing.begin(id, of: caller, retryAfterSeconds: preparationRetrySeconds) {
        case .success(let taken): ticket = taken
        case .failure(let refusal): return emit(id, .failed(refusal))
        }
        let arrival = now
        reading.submit(ticket) { [self, tools, eventLoop, preparation, imaging] in
            let done: @Sendable (Result<Preparation, GenerationError>) -> Void = { outcome in
                eventLoop.execute { self.assumeIsolated { $0.prepared(id, ticket, outcome, arrival) } }
            }
            // What was cancelled while it waited costs its turn and no more.
            guard !ticket.isCancelled else { return done(.failure(.cancelled)) }
            let request: GenerationRequest
            switch Self.read(body) {
            case .success(let read): request = read
            case .failure(let error): return done(.failure(error))
            }
            if let deadline = Preparations.Deadline(of: request, arrival: arrival) {
                eventLoop.execute { self.assumeIsolated { $0.note(deadline, of: id, ticket) } }
            }
            let thread = request.hasImages ? imaging ?? preparation : preparation
            thread.submit(ticket) {
                guard !ticket.isCancelled else { return done(.failure(.cancelled)) }
                done(Self.prepare(request, with: tools))
            }
        }
    }

    /// When the thread with most work is expected to be done with what it has. **Units:** whole seconds.
    private var preparationRetrySeconds: Int {
        max(reading.retryAfterSeconds, preparation.retryAfterSeconds, imaging?.retryAfterSeconds ?? 0)
    }

    private func note(_ deadline: Preparations.Deadline, of id: RequestID, _ ticket: Preparations.Ticket) {
        preparing.note(deadline, of: id, ticket)
        expirePreparations()
    }

    /// Ends requests whose time is up while they are prepared, and comes back when that of the next one is. What a
    /// thread still computes for them is thrown away when it comes.
    private func expirePreparations() {
        for (id, seconds) in preparing.expire(now: now) { emit(id, .failed(.deadlineExceeded(seconds: seconds))) }
        preparingTimer?.cancel()
        preparingTimer = nil
        guard let next = preparing.nextDeadline else { return }
        preparingTimer = eventLoop.scheduleTask(in: delay(until: next)) { [self] in
            assumeIsolated { $0.expirePreparations() }
        }
    }

    private nonisolated static func read(_ body: [UInt8]) -> Result<GenerationRequest, GenerationError> {
        do {
            return .success(try RequestCoding.decode(body))
        } catch {
            return .failure(.engineFailed(reason: "the node sent a request that cannot be read: \(error)"))
        }
    }

    private nonisolated static func prepare(
        _ request: GenerationRequest, with tools: EntryTools
    ) -> Result<Preparation, GenerationError> {
        do throws(GenerationError) {
            if let inspection = request.inspection {
                let inspector = PromptInspector(tokenizer: tools.tokenizer, renderer: tools.renderer)
                return .success(.inspected(try inspector.answer(inspection, of: request)))
            }
            var prepared = try tools.renderer.prepare(request)
            if request.embedding?.truncates == true, prepared.tokens.count > tools.window {
                prepared.tokens = tools.tokenizer.shortened(prepared.tokens, to: tools.window)
            }
            return .success(.prompt(request, prepared))
        } catch {
            return .failure(error)
        }
    }

    private func prepared(
        _ id: RequestID, _ ticket: Preparations.Ticket, _ outcome: Result<Preparation, GenerationError>,
        _ arrival: Instant
    ) {
        // Cancelled, its client gone or its time up, while it was being prepared.
        guard preparing.end(id, ticket) else { return }
        switch outcome {
        case .success(.prompt(var request, let prepared)):
            request.elapsedSeconds = (request.elapsedSeconds ?? 0) + now.since(arrival).inSeconds
            feed(.submit(request: request, prepared: prepared))
        case .success(.inspected(let events)): for event in events { emit(id, event) }
        case .failure(let error): emit(id, .failed(error))
        }
    }

    // MARK: The brain

    /// When something was said to a client last.
    private var lastUse = Instant(nanoseconds: 0)

    private var now: Instant { Instant(nanoseconds: (ContinuousClock.now - started).inNanoseconds) }

    private func feed(_ input: EngineCore.Input) {
        var next: [Microbatch] = []
        for effect in brain.handle(input, now: now).list {
            switch effect {
            case .run(let microbatch): next.append(microbatch)
            case .draft(let work): guess(work)
            case .emit(let id, let event): emit(id, event)
            case .commit(let sequence): files?.commit(sequence)
            case .retract(let key): files?.retract(key)
            case .archived:
                // The last record may still be on its way to the disk.
                if let whenArchived { files?.flush(whenArchived) ?? whenArchived() }
                whenArchived = nil
            case .wakeAt(let instant): wake(at: instant)
            }
        }
        watchHeads()
        // Last, because this loop may compute it: whoever waits for an event has it by then.
        for microbatch in next { run(microbatch) }
    }

    private func guess(_ work: DraftWork) {
        draft?.submit(work, on: eventLoop) { [self] outcome in
            assumeIsolated { driver in
                switch outcome {
                case .success(let lanes): driver.feed(.drafted(work.id, lanes))
                case .failure(let error): driver.feed(.draftFailed(work.id, error))
                }
            }
        }
    }

    private func run(_ microbatch: Microbatch) {
        let step = UInt32(truncatingIfNeeded: microbatch.id.value)
        steps[step] = StepUnderWay(id: microbatch.id, began: .now)
        let job = ComputeJob(
            step: step, operations: microbatch.operations,
            work: microbatch.rows.isEmpty ? .operationsOnly : .rows(microbatch.rows), slice: microbatch.slice,
            isDeferred: microbatch.isDeferred)
        // What waits for this loop's turn came first.
        if let waiting = nextTurn {
            nextTurn = nil
            submit(waiting)
        }
        // With nothing else in flight this loop would only wait for the step, so it computes it itself.
        guard job.isShort, brain.stepsInFlight == 1 else { return submit(job) }
        guard isAlone else { return forward?.isClear ?? false ? runHere(job) : submit(job) }
        // A stage that is alone starts the next step at the end of each: in between the loop looks at its links, and
        // not much later than another thread would let it.
        let expected = brain.expectedNanoseconds(of: microbatch) ?? .infinity
        guard let turn, expected <= Self.turnNanoseconds else { return submit(job) }
        nextTurn = job
        turn.request()
    }

    /// Computes short steps of a stage that is alone on this loop from now on.
    func computeInTurns() async throws {
        turn = try await LoopTurn.open(on: eventLoop) { [weak self] in
            guard let self else { return }
            assumeIsolated { driver in
                guard let job = driver.nextTurn else { return }
                driver.nextTurn = nil
                driver.runHere(job)
            }
        }
    }

    private func runHere(_ job: ComputeJob) {
        guard let outcome = room.runHere(job) else { return submit(job) }
        finish(job.step, outcome)
    }

    private func submit(_ job: ComputeJob) {
        let accepted = room.submit(job, on: eventLoop) { [self] outcome in
            assumeIsolated { $0.finish(job.step, outcome) }
        }
        precondition(accepted, "the brain keeps fewer steps in flight than the compute thread takes")
    }

    private func finish(_ step: UInt32, _ outcome: ComputeOutcome) {
        guard let id = steps[step]?.id else { return }
        switch outcome {
        case .forward(let frames), .failed(_, .some(let frames)):
            forward?.send(frames)
            feed(.stepCompleted(id))
        case .sampled(let tokens):
            steps[step] = nil
            feed(.stepCompleted(id))
            feed(.sampled(id, tokens))
        case .failed(let failure, nil):
            steps[step] = nil
            feed(.stepFailed(id, stage: failure.stage, failure.engineError))
        case .broken(let reason): lost(.own(reason))
        }
    }

    private func emit(_ id: RequestID, _ event: GenerationEvent) {
        guard var client = clients[id] else { return }
        do throws(WireError) {
            try writer.event(id, sequence: client.sequence, event)
        } catch {
            return giveUp(id, client, error)
        }
        client.link.send(&writer)
        client.sequence += 1
        clients[id] = event.isTerminal ? nil : client
        lastUse = now
    }

    /// An event beyond the link's budget ends the request in words instead of leaving it without an end. What the brain
    /// still says of the request finds no client.
    private func giveUp(_ id: RequestID, _ client: Client, _ error: WireError) {
        clients[id] = nil
        lastUse = now
        let reason = "an event could not be sent: \(error)"
        try? writer.event(id, sequence: client.sequence, .failed(.engineFailed(reason: reason)))
        client.link.send(&writer)
        // The brain's effects are being carried out right now: it hears of this behind them.
        eventLoop.execute { self.assumeIsolated { $0.feed(.cancel(id)) } }
    }

    private func wake(at instant: Instant) {
        timer?.cancel()
        timer = eventLoop.scheduleTask(in: delay(until: instant)) { [self] in
            assumeIsolated { $0.feed(.tick) }
        }
    }

    private func delay(until instant: Instant) -> TimeAmount {
        .nanoseconds(max(0, instant.since(now).inNanoseconds))
    }

    private func close(_ link: FrameLink, _ reason: LinkClosure) {
        let role = links.closed(link)
        if link === forward || link === returning {
            lost(.neighbour("the \(role.map { "\($0)" } ?? "stage") link is gone: \(reason)"))
            return
        }
        if role == .upstream { opening.resolve(.linkFailed(role: "upstream", reason: "\(reason)")) }
        // A node that is gone has no reader for its streams.
        let orphans = clients.filter { $0.value.link === link }.map(\.key).sorted()
        if !orphans.isEmpty { lastUse = now }
        for id in orphans {
            clients[id] = nil
            if !preparing.cancel(id) { feed(.cancel(id)) }
        }
    }
}

extension EntryDriver: FrameLinkDelegate {
    nonisolated func link(_ link: FrameLink, received frame: InboundFrame) {
        assumeIsolated { $0.receive(frame, link) }
    }

    nonisolated func link(_ link: FrameLink, closed reason: LinkClosure) {
        assumeIsolated { $0.close(link, reason) }
    }
}

/// What the entry stage reports to its node on request.
package struct EntryReport: Sendable, Codable {
    /// Requests in the waiting line.
    package var queued: Int
    /// Requests with a lane.
    package var active: Int
    /// Lanes owned by requests.
    package var lanes: Int
    /// KV cells held.
    package var cells: Int
    /// Microbatches under way.
    package var stepsInFlight: Int
    /// What guesses brought since the runner started, by their source.
    package var speculated: [GuessSource: SpeculationCounts]

    /// Guessed tokens that were computed.
    package var draftedTokens: Int { speculated.values.reduce(0) { $0 + $1.drafted } }
    /// Those of them that were right.
    package var acceptedTokens: Int { speculated.values.reduce(0) { $0 + $1.accepted } }
    /// Time since the last request; nil while there is one. **Units:** milliseconds.
    package var idleMilliseconds: UInt64?
}
