import LlamaEngine
import NIOCore
import NIOPosix
import Serving
import Synchronization
import Transport
import Vocabulary
import Wire

/// One piece of work for the compute thread.
struct ComputeJob: Sendable {
    /// The microbatch's number on the wire.
    var step: UInt32
    /// Applied first, in order.
    var operations: [SequenceOperation]
    /// What is run then.
    var work: Work
    /// How long deferred jobs are run at a time, from now on; nil leaves it as it was.
    var slice: Duration?
    /// Whether others overtake it between layers. It has rows of one lane and no operations.
    var isDeferred = false

    enum Work: Sendable {
        /// Rows from this runner's own brain (entry stage).
        case rows([StageRow])
        /// A step frame's body as it arrived.
        case frame(StepLayout, ByteBuffer)
        /// Nothing: a stage before failed, only the operations count here.
        case skip(StageFailure)
        /// Nothing: the microbatch has operations only.
        case operationsOnly
    }

    /// Whether there are no rows to run.
    var isOperationsOnly: Bool {
        if case .operationsOnly = work { true } else { false }
    }

    /// Whether the job may run on an event loop: a few rows, decoded in the time of one token, whose frame a socket
    /// takes in one write. Prefill would keep the loop from its links for too long.
    var isShort: Bool {
        guard !isDeferred else { return false }
        for case .archive(let operation) in operations where operation.movesState { return false }
        return switch work {
        case .rows(let rows): rows.count <= Self.shortRowLimit
        case .frame(let layout, let body):
            layout.rowCount <= Self.shortRowLimit && body.readableBytes <= Self.shortFrameByteLimit
        case .skip, .operationsOnly: true
        }
    }

    private static var shortRowLimit: Int { 16 }
    private static var shortFrameByteLimit: Int { 128 << 10 }
}

/// What a job left behind.
enum ComputeOutcome: Sendable {
    /// Frames for the next stage.
    case forward(ByteBuffer)
    /// Tokens of the last stage.
    case sampled([SampledToken])
    /// The stage, or one before it, failed.
    case failed(StageFailure, forward: ByteBuffer?)
    /// The next stage cannot be told what this one did to its lanes, so the two would not agree any more.
    case broken(reason: String)
}

/// A stage's engine and the thread it computes on, whatever the engine.
protocol Computing: Sendable {
    /// Queues a job for the compute thread; false when too many wait already. The completion is called on `eventLoop`,
    /// which MUST be that of the caller; only then is the job over, so that what comes of a later one never overtakes
    /// what comes of it, unless it is deferred.
    func submit(
        _ job: ComputeJob, on eventLoop: any EventLoop, _ completion: @escaping @Sendable (ComputeOutcome) -> Void
    ) -> Bool

    /// Runs a job on the calling thread, which saves waking two threads; nil when the engine is busy or jobs wait for
    /// it, so that no job overtakes another.
    ///
    /// The caller MUST be the thread that submits: then nothing can come between the question and the run.
    func runHere(_ job: ComputeJob) -> ComputeOutcome?

    /// The stage's counters so far; waits for the job that runs.
    var statistics: StageStatistics { get }

    /// What the latest steps with rows took in the engine, oldest first, at most `StepTrace.limit`.
    var trace: [StepTime] { get }
}

/// Jobs that may wait for a compute thread at once; the entry's brain keeps fewer in flight, so more means a broken
/// peer.
let waitingJobLimit = 256

/// The engine of a stage and its compute thread. Jobs run one at a time in the order they were given, never on Swift's
/// cooperative pool: long ones on the compute thread, short ones on the event loop when nothing else waits.
///
/// Deferred ones are run a few layers at a time: each part goes to the end of the line, so all jobs that came meanwhile
/// are before it, and it is before those that come then (docs/decisions/0025-deferred-microbatches.md).
///
/// Two threads may enter the engine, never at once: `pending` sends a job to the compute thread unless all before it
/// are done, so the lock is not contended by jobs.
final class ComputeRoom<Engine: StageEngine & ~Copyable>: Computing {
    private let thread = NIOThreadPool(numberOfThreads: 1)
    private let state: Mutex<ComputeState<Engine>>
    /// Jobs that wait, run, or whose outcome was not taken yet.
    private let pending = Atomic<Int>(0)

    init(_ engine: consuming sending Engine, stageIndex: Int, format: WireFormat, files: SequenceFiles? = nil) {
        state = Mutex(ComputeState(engine, stageIndex: stageIndex, format: format, files: files))
        thread.start()
    }

    func submit(
        _ job: ComputeJob, on eventLoop: any EventLoop, _ completion: @escaping @Sendable (ComputeOutcome) -> Void
    ) -> Bool {
        // One runs beside those that wait.
        guard pending.add(1, ordering: .acquiringAndReleasing).newValue <= waitingJobLimit + 1 else {
            pending.subtract(1, ordering: .acquiringAndReleasing)
            return false
        }
        let arrived = ContinuousClock.now
        let done: @Sendable (ComputeOutcome) -> Void = { [self] outcome in
            eventLoop.execute {
                self.pending.subtract(1, ordering: .acquiringAndReleasing)
                completion(outcome)
            }
        }
        thread.submit { [self] poolState in
            guard case .active = poolState else { return }
            guard job.isDeferred else { return done(state.withLock { $0.run(job, arrived: arrived) }) }
            if state.withLock({ $0.take(DeferredJob(job: job, done: done)) }) { goOn() }
        }
        return true
    }

    /// Runs a part of the first deferred job behind all that wait now.
    private func goOn() {
        thread.submit { [self] poolState in
            guard case .active = poolState else { return }
            let (outcome, isOver) = state.withLock { ($0.goOn(), $0.hasNothingDeferred) }
            if let (outcome, job) = outcome { job.done(outcome) }
            if !isOver { goOn() }
        }
    }

    func runHere(_ job: ComputeJob) -> ComputeOutcome? {
        guard pending.load(ordering: .acquiring) == 0 else { return nil }
        pending.add(1, ordering: .acquiringAndReleasing)
        defer { pending.subtract(1, ordering: .acquiringAndReleasing) }
        return state.withLock { $0.run(job, arrived: .now) }
    }

    var statistics: StageStatistics { state.withLock { $0.statistics } }

    var trace: [StepTime] { state.withLock { $0.trace.times } }
}

/// A job that is run a few layers at a time, and who waits for it.
private struct DeferredJob: Sendable {
    let job: ComputeJob
    let done: @Sendable (ComputeOutcome) -> Void
}

/// What the compute thread owns; buffers are refilled job after job.
private struct ComputeState<Engine: StageEngine & ~Copyable>: ~Copyable {
    private var engine: Engine
    private let stageIndex: Int
    private let format: WireFormat
    private let files: SequenceFiles?
    private var writer = FrameWriter(version: Handshake.versions.upperBound)
    private var output = StageOutput()
    private var rows: [StageRow] = []
    private var spoiled = SpoiledLanes()
    private var deferred = DeferredQueue<DeferredJob>()
    /// How long deferred jobs are run at a time.
    private var slice = Serving.Limits.longestSlice
    private var scratch: [Float] = []
    var statistics = StageStatistics()
    var trace = StepTrace()

    init(_ engine: consuming Engine, stageIndex: Int, format: WireFormat, files: SequenceFiles?) {
        self.files = files
        self.engine = engine
        self.stageIndex = stageIndex
        self.format = format
        statistics.stage = stageIndex
    }

    mutating func run(_ job: ComputeJob, arrived: ContinuousClock.Instant) -> ComputeOutcome {
        let started = ContinuousClock.now
        statistics.waitNanoseconds += UInt64((started - arrived).inNanoseconds)
        let failure = compute(job)
        let computed = ContinuousClock.now
        let took = UInt64((computed - started).inNanoseconds)
        statistics.computeNanoseconds += took
        // Operations take next to nothing and would only blur what steps take.
        if !job.isOperationsOnly { trace.append(StepTime(step: job.step, nanoseconds: took)) }
        statistics.steps += 1
        let outcome = outcome(of: job, failure)
        statistics.encodeNanoseconds += UInt64((ContinuousClock.now - computed).inNanoseconds)
        return outcome
    }

    /// Whether nothing is deferred.
    var hasNothingDeferred: Bool { deferred.isEmpty }

    /// Defers a job; answers whether nothing was deferred before.
    mutating func take(_ deferredJob: DeferredJob) -> Bool {
        let job = deferredJob.job
        slice = job.slice ?? slice
        read(job)
        // The brain sends no microbatch without rows, and there is no such frame.
        let lane = rows[0].lane
        defer { deferred.append(deferredJob, lane: lane) }
        return deferred.isEmpty
    }

    /// Runs some layers of the deferred job whose turn it is; nil when there are more.
    mutating func goOn() -> (ComputeOutcome, of: DeferredJob)? {
        guard let (next, isDropped) = deferred.next else { return nil }
        let started = ContinuousClock.now
        read(next.job)
        var failure: StageFailure?
        do throws(EngineError) {
            if isDropped { throw .cancelled }
            try spoiled.admit(rows)
            defer { statistics.computeNanoseconds += UInt64((ContinuousClock.now - started).inNanoseconds) }
            guard try run(next.job, for: slice) else { return nil }
            statistics.rows += UInt64(rows.count)
        } catch {
            // Where the lane was freed nothing is missing.
            if !isDropped { spoiled.failed(rows) }
            failure = StageFailure(stage: stageIndex, error)
        }
        statistics.steps += 1
        deferred.removeNext()
        return (outcome(of: next.job, failure), next)
    }

    private mutating func compute(_ job: ComputeJob) -> StageFailure? {
        slice = job.slice ?? slice
        rows.removeAll(keepingCapacity: true)
        // Every operation counts, even when one is refused or the rows cannot be run: the brain relies on lanes being
        // freed everywhere.
        var refused: EngineError?
        for operation in job.operations {
            spoiled.follow(operation)
            deferred.follow(operation)
            do throws(EngineError) {
                if case .archive(let archive) = operation { try carryOut(archive) } else { try engine.apply(operation) }
            } catch {
                // A lane that cannot be opened has no sampler: its own request ends by that, not those beside it.
                if case .open(let lane, _) = operation, case .failed = error {
                    RunnerLog.warn("lane \(lane.index) could not be opened: \(error)")
                } else {
                    refused = refused ?? error
                }
            }
        }
        do throws(EngineError) {
            switch job.work {
            case .skip(let failure):
                return failure
            case .operationsOnly:
                if let refused { throw refused }
                output.samples.removeAll(keepingCapacity: true)
            case .rows, .frame:
                read(job)
                if let refused { throw refused }
                try spoiled.admit(rows)
                _ = try run(job, for: nil)
            }
            statistics.rows += UInt64(rows.count)
            return nil
        } catch {
            if !job.isOperationsOnly { spoiled.failed(rows) }
            return StageFailure(stage: stageIndex, error)
        }
    }

    /// Makes the job's rows those at hand.
    private mutating func read(_ job: ComputeJob) {
        switch job.work {
        case .rows(let own): rows = own
        case .frame(let layout, let body): layout.rows(of: body.readableBytesSpan, into: &rows)
        case .skip, .operationsOnly: rows.removeAll(keepingCapacity: true)
        }
    }

    /// Runs the job's rows, which are at hand, through all layers, or through some for about `duration`; answers
    /// whether they are through.
    private mutating func run(_ job: ComputeJob, for duration: Duration?) throws(EngineError) -> Bool {
        guard case .frame(let layout, let body) = job.work else { return try run([Float]().span, for: duration) }
        // Out of here for the time, as the engine works on what it holds.
        var floats: [Float] = []
        swap(&floats, &scratch)
        defer { swap(&floats, &scratch) }
        return try layout.withActivations(of: body.readableBytesSpan, scratch: &floats) { floats throws(EngineError) in
            try run(floats, for: duration)
        }
    }

    private mutating func run(_ activations: Span<Float>, for duration: Duration?) throws(EngineError) -> Bool {
        if let duration { return try engine.advance(rows, activations: activations, for: duration, into: &output) }
        try engine.execute(rows, activations: activations, into: &output)
        return true
    }

    /// Copies states out of and into the engine; the files themselves are the business of another thread. What cannot
    /// be saved is told like a failed write, what cannot be restored fails the step.
    private mutating func carryOut(_ operation: ArchiveOperation) throws(EngineError) {
        guard let files else {
            guard operation.action == .restore else { return }
            throw .failed(operation: "restoring a sequence", code: 0, reason: "this stage keeps none on disk")
        }
        switch operation.action {
        case .save:
            var bytes: [UInt8]?
            do throws(EngineError) {
                bytes = try engine.save(operation.lane)
            } catch {
                RunnerLog.warn("a sequence could not be saved: \(error)")
            }
            files.save(operation.key, bytes)
        case .fetch: files.fetch(operation.key)
        case .release: files.release(operation.key)
        case .forget: files.forget(operation.key)
        case .restore:
            guard let bytes = files.take(operation.key) else {
                throw .failed(operation: "restoring a sequence", code: 0, reason: "it was not read")
            }
            do throws(EngineError) {
                try engine.restore(operation.lane, from: bytes)
            } catch {
                RunnerLog.warn("a sequence on disk could not be used: \(error)")
                throw error
            }
        }
    }

    private mutating func outcome(of job: ComputeJob, _ failure: StageFailure?) -> ComputeOutcome {
        let isLast = engine.shape.isLast
        do throws(WireError) {
            if !isLast, !job.operations.isEmpty { try writer.operations(job.operations, before: job.step) }
            if let failure {
                guard !isLast else { return .failed(failure, forward: nil) }
                try writer.failure(of: job.step, failure)
                return .failed(failure, forward: writer.takeBuffer())
            }
            guard !isLast else { return .sampled(output.samples) }
            if case .operationsOnly = job.work {
                // There is no step frame without rows: the skip tells the next stage that the operations are complete.
                try writer.cancel(from: job.step, count: 1)
            } else {
                let before = writer.byteCount
                try Self.encode(job, rows, output, width: engine.shape.width, format, into: &writer)
                statistics.sentBytes += UInt64(writer.byteCount - before)
            }
            return .forward(writer.takeBuffer())
        } catch {
            // The rows are not in the next stage; those behind them must not get there either.
            if failure == nil, !job.isOperationsOnly { spoiled.failed(rows) }
            return outcome(of: job, unsent: error)
        }
    }

    /// What the next stage is told in place of a step that cannot be sent: the operations, which count all the same,
    /// and the failure.
    private mutating func outcome(of job: ComputeJob, unsent error: WireError) -> ComputeOutcome {
        writer.removeAll()
        let failure = StageFailure(stage: stageIndex, cause: .protocolViolation(reason: "\(error)"))
        do throws(WireError) {
            if !job.operations.isEmpty { try writer.operations(job.operations, before: job.step) }
            try writer.failure(of: job.step, failure)
            return .failed(failure, forward: writer.takeBuffer())
        } catch {
            writer.removeAll()
            return .broken(reason: "the operations of step \(job.step) cannot be sent to the next stage: \(error)")
        }
    }

    private static func encode(
        _ job: ComputeJob, _ rows: [StageRow], _ output: borrowing StageOutput, width: Int, _ format: WireFormat,
        into writer: inout FrameWriter
    ) throws(WireError) {
        try writer.step(
            job.step, rows: rows, activations: output.activations.span, width: width, format: format,
            slice: job.slice, isDeferred: job.isDeferred)
    }
}

extension StageFailure {
    /// An engine's error as it travels to the entry stage.
    init(stage: Int, _ error: EngineError) {
        let cause: Cause =
            switch error {
            case .outOfCells(let rows, let cellCount): .outOfCells(rows: rows, cellCount: cellCount)
            case .invalidRow(let field, let value, let limit): .invalidRow(field: field, value: value, limit: limit)
            case .cancelled: .cancelled
            case .failed(let operation, let code, let reason): .engine(operation: operation, code: code, reason: reason)
            case .loadFailed(let path, let reason): .engine(operation: "loading \(path)", code: -1, reason: reason)
            }
        self.init(stage: stage, cause: cause)
    }

    /// The failure as the brain takes it.
    var engineError: EngineError {
        switch cause {
        case .outOfCells(let rows, let cellCount): .outOfCells(rows: rows, cellCount: cellCount)
        case .invalidRow(let field, let value, let limit): .invalidRow(field: field, value: value, limit: limit)
        case .cancelled: .cancelled
        case .engine(let operation, let code, let reason): .failed(operation: operation, code: code, reason: reason)
        case .protocolViolation, .stageLost, .draining: .failed(operation: "the step", code: -1, reason: description)
        }
    }
}
