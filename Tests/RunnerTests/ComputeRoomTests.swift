import Dispatch
import NIOCore
import NIOPosix
import Serving
import Testing
import Vocabulary
import Wire

@testable import Runner

@Suite(.timeLimit(.minutes(1))) struct `The compute thread` {
    private static let first = LayerRange(first: 0, end: 4)
    private static let last = LayerRange(first: 4, end: 8)

    private static func rows(_ tokens: [Token]) -> [StageRow] {
        tokens.enumerated().map { StageRow(lane: Lane(1), position: Int32($0), token: $1, samples: true) }
    }

    @Test func `a stage's rows become one step frame behind the operations`() async throws {
        let diary = EngineDiary()
        let room = ComputeRoom(layers: Self.first, diary: diary)
        let operations = [SequenceOperation.free(lane: Lane(2)), .trim(lane: Lane(1), from: 3)]
        let job = ComputeJob(step: 77, operations: operations, work: .rows(Self.rows([5, 6])))
        guard case .forward(let buffer) = try await room.outcome(of: job) else {
            Issue.record("nothing is forwarded")
            return
        }
        #expect(diary.all == operations.map { .applied($0) } + [.executed(Self.rows([5, 6]), activations: [])])
        let frames = try buffer.stageFrames(width: 2)
        guard frames.count == 2, case .operations(operations, before: 77) = frames[0],
            case .step(let layout) = frames[1]
        else {
            Issue.record("other frames came: \(frames)")
            return
        }
        #expect(layout.step == 77)
        // Their bytes are what the next stage computes from.
        let diaryBehind = EngineDiary()
        let behind = ComputeRoom(layers: Self.last, diary: diaryBehind)
        var body = buffer
        let header = try #require(try FrameHeader.parse(body.readableBytesSpan, rules: .established(version: 1)))
        body.moveReaderIndex(forwardBy: header.frameByteCount + FrameHeader.byteCount)
        let next = ComputeJob(step: 77, operations: [], work: .frame(layout, body))
        guard case .sampled(let samples) = try await behind.outcome(of: next) else {
            Issue.record("nothing is sampled")
            return
        }
        #expect(samples.map(\.token) == [6, 7])
        #expect(diaryBehind.all == [.executed(Self.rows([5, 6]), activations: [5, 0, 6, 1])])
    }

    @Test func `a failure travels to the end of the chain and no row is computed`() async throws {
        let room = ComputeRoom(layers: Self.first, diary: EngineDiary())
        let job = ComputeJob(step: 4, operations: [], work: .rows(Self.rows([13])))
        guard case .failed(let failure, .some(let buffer)) = try await room.outcome(of: job) else {
            Issue.record("the failure is not forwarded")
            return
        }
        #expect(failure.stage == 0)
        #expect(failure.engineError == .failed(operation: "the script", code: 13, reason: "token 13"))
        guard case .failure(failure, step: 4) = try #require(try buffer.stageFrames(width: 2).first) else {
            Issue.record("another frame came")
            return
        }
        let diary = EngineDiary()
        let last = ComputeRoom(layers: Self.last, diary: diary)
        let skipped = ComputeJob(step: 4, operations: [.free(lane: Lane(1))], work: .skip(failure))
        guard case .failed(failure, forward: nil) = try await last.outcome(of: skipped) else {
            Issue.record("the last stage does not report the failure of the first")
            return
        }
        #expect(diary.all == [.applied(.free(lane: Lane(1)))])
    }

    @Test func `a refused operation keeps no other from being applied`() async throws {
        let diary = EngineDiary()
        let room = ComputeRoom(layers: Self.last, diary: diary)
        let operations = [SequenceOperation.free(lane: Lane(9)), .free(lane: Lane(3))]
        let job = ComputeJob(step: 1, operations: operations, work: .rows(Self.rows([5])))
        guard case .failed(let failure, forward: nil) = try await room.outcome(of: job) else {
            Issue.record("the refusal is not reported")
            return
        }
        #expect(failure.engineError == .invalidRow(field: "lane", value: 9, limit: 7))
        #expect(diary.all == operations.map { .applied($0) })
    }

    @Test func `a lane that cannot be opened leaves the others of its step alone`() async throws {
        let diary = EngineDiary()
        let room = ComputeRoom(layers: Self.last, diary: diary)
        let sampling = LaneSampling(parameters: SamplingParameters(), promptLength: 1)
        let operations = ([8, 1] as [UInt16]).map { SequenceOperation.open(lane: Lane($0), sampling: sampling) }
        let job = ComputeJob(step: 1, operations: operations, work: .rows(Self.rows([5])))
        guard case .sampled(let samples) = try await room.outcome(of: job) else {
            Issue.record("the step failed for all of its lanes")
            return
        }
        #expect(samples.map(\.token) == [6])
        #expect(Array(diary.all.prefix(2)) == operations.map { EngineDiary.Entry.applied($0) })
    }

    @Test func `a step that cannot be sent leaves its operations and a failure`() async throws {
        let room = ComputeRoom(layers: Self.first, diary: EngineDiary())
        // No frame holds this row.
        let row = StageRow(lane: Lane(1), position: -1, token: 5, samples: true)
        let job = ComputeJob(step: 8, operations: [.free(lane: Lane(2))], work: .rows([row]))
        guard case .failed(let failure, .some(let buffer)) = try await room.outcome(of: job) else {
            Issue.record("the next stage is told nothing")
            return
        }
        let frames = try buffer.stageFrames(width: 2)
        guard frames.count == 2, case .operations([.free(lane: Lane(2))], before: 8) = frames[0],
            case .failure(failure, step: 8) = frames[1]
        else {
            Issue.record("other frames came: \(frames)")
            return
        }
        // Its rows are in no later stage: what follows them there would leave a gap.
        let next = ComputeJob(step: 9, operations: [], work: .rows(Self.rows([5])))
        guard case .failed(let refusal, .some) = try await room.outcome(of: next) else {
            Issue.record("the lane goes on")
            return
        }
        #expect(refusal.engineError == .cancelled)
    }

    @Test func `operations that cannot be sent end the stage`() async throws {
        let room = ComputeRoom(layers: Self.first, diary: EngineDiary())
        let job = ComputeJob(step: 8, operations: [.trim(lane: Lane(2), from: -1)], work: .rows(Self.rows([5])))
        guard case .broken(let reason) = try await room.outcome(of: job) else {
            Issue.record("the stages do not agree any more, and go on")
            return
        }
        #expect(reason.contains("step 8"))
    }

    @Test func `operations alone are announced to the next stage as complete`() async throws {
        let room = ComputeRoom(layers: Self.first, diary: EngineDiary())
        let job = ComputeJob(step: 9, operations: [.free(lane: Lane(1))], work: .operationsOnly)
        guard case .forward(let buffer) = try await room.outcome(of: job) else {
            Issue.record("nothing is forwarded")
            return
        }
        let frames = try buffer.stageFrames(width: 2)
        guard frames.count == 2, case .operations([.free(lane: Lane(1))], before: 9) = frames[0],
            case .cancel(first: 9, count: 1) = frames[1]
        else {
            Issue.record("other frames came: \(frames)")
            return
        }
    }

    @Test func `a short job does not overtake one whose outcome nobody has taken yet`() async throws {
        let room = ComputeRoom(layers: Self.first, diary: EngineDiary())
        let job = ComputeJob(step: 1, operations: [], work: .rows(Self.rows([5])))
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let (isRefused, after) = try await loop.submit {
            #expect(room.submit(job, on: loop) { _ in })
            // It is computed, but what came of it waits for this very loop.
            while room.statistics.steps == 0 {}
            return (room.runHere(job) == nil, loop.submit { room.runHere(job) != nil })
        }.get()
        #expect(isRefused)
        #expect(try await after.get())
    }

    @Test func `jobs run in their order, and more than the limit are refused`() async throws {
        let diary = EngineDiary(isGated: true)
        let room = ComputeRoom(layers: Self.last, diary: diary)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let (outcomes, sink) = AsyncStream.makeStream(of: ComputeOutcome.self)
        func submit(_ token: Token) -> Bool {
            room.submit(ComputeJob(step: 0, operations: [], work: .rows(Self.rows([token]))), on: loop) {
                sink.yield($0)
            }
        }
        #expect(submit(100))
        for await _ in diary.starts { break }
        for token in 0..<Token(waitingJobLimit) { #expect(submit(200 + token)) }
        #expect(!submit(1))
        for _ in 0...waitingJobLimit { diary.gate.signal() }
        var tokens: [Token] = []
        for await outcome in outcomes {
            if case .sampled(let samples) = outcome { tokens += samples.map(\.token) }
            if tokens.count == waitingJobLimit + 1 { break }
        }
        #expect(tokens == [101] + (0..<Token(waitingJobLimit)).map { 201 + $0 })
        #expect(room.statistics.steps == UInt64(waitingJobLimit + 1))
        diary.gate.signal()
        #expect(submit(1))
    }

    // MARK: Deferred jobs

    private static func rows(_ token: Token, lane: UInt16) -> [StageRow] {
        [StageRow(lane: Lane(lane), position: 0, token: token, samples: true)]
    }

    private static func deferred(_ step: UInt32, _ rows: [StageRow], slice: Duration? = nil) -> ComputeJob {
        ComputeJob(step: step, operations: [], work: .rows(rows), slice: slice, isDeferred: true)
    }

    /// Submits jobs while the first part of the first one runs, and answers what becomes of them, in that order.
    private static func outcomes(
        of jobs: [ComputeJob], layers: LayerRange, _ diary: EngineDiary
    ) async throws -> [(step: UInt32, outcome: ComputeOutcome)] {
        let room = ComputeRoom(layers: layers, diary: diary)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let (outcomes, sink) = AsyncStream.makeStream(of: (UInt32, ComputeOutcome).self)
        for job in jobs {
            #expect(room.submit(job, on: loop) { sink.yield((job.step, $0)) })
            if job.step == jobs[0].step { for await _ in diary.starts { break } }
        }
        for _ in 0..<4 * jobs.count { diary.gate.signal() }
        var all: [(step: UInt32, outcome: ComputeOutcome)] = []
        for await outcome in outcomes {
            all.append(outcome)
            if all.count == jobs.count { break }
        }
        return all
    }

    @Test func `others overtake a deferred job between its parts, and deferred ones go one after the other`()
        async throws
    {
        let diary = EngineDiary(isGated: true)
        let (first, second, other) = (Self.rows(5, lane: 1), Self.rows(6, lane: 3), Self.rows(7, lane: 2))
        let pace = Duration.milliseconds(40)
        let outcomes = try await Self.outcomes(
            of: [
                Self.deferred(1, first, slice: .milliseconds(90)), Self.deferred(2, second),
                ComputeJob(step: 3, operations: [], work: .rows(other), slice: pace),
            ], layers: Self.last, diary)
        #expect(outcomes.map(\.step) == [3, 1, 2])
        #expect(
            diary.all == [
                .paused(first, after: .milliseconds(90)), .executed(other, activations: []),
                .paused(first, after: pace), .executed(first, activations: []),
                .paused(second, after: pace), .paused(second, after: pace), .executed(second, activations: []),
            ])
    }

    @Test func `a deferred job whose lane is freed is answered as cancelled, and its lane is as new`() async throws {
        let diary = EngineDiary(isGated: true)
        let (dropped, other) = (Self.rows(5, lane: 1), Self.rows(6, lane: 3))
        let free = SequenceOperation.free(lane: Lane(1))
        let outcomes = try await Self.outcomes(
            of: [
                Self.deferred(1, dropped), ComputeJob(step: 2, operations: [free], work: .rows(other)),
                ComputeJob(step: 3, operations: [], work: .rows(Self.rows(8, lane: 1))),
            ], layers: Self.first, diary)
        #expect(
            Set(outcomes.map(\.step)) == [1, 2, 3] && diary.all.count { $0 == .executed(dropped, activations: []) } == 0
        )
        for (step, outcome) in outcomes {
            switch outcome {
            case .failed(let failure, .some(let buffer)):
                #expect(step == 1 && failure.engineError == .cancelled)
                #expect(try buffer.stageFrames(width: 2) == [.failure(failure, step: 1)])
            case .forward: #expect(step != 1)
            case .failed, .sampled, .broken: Issue.record("step \(step): \(outcome)")
            }
        }
    }

    @Test func `the next stage defers it, too, and is told for how long`() async throws {
        let job = Self.deferred(6, Self.rows([5, 6]), slice: .milliseconds(30))
        let outcome = try await ComputeRoom(layers: Self.first, diary: EngineDiary()).outcome(of: job)
        guard case .forward(let buffer) = outcome,
            case .deferredStep(let layout)? = try buffer.stageFrames(width: 2).first
        else {
            Issue.record("no deferred step comes")
            return
        }
        #expect(layout.step == 6 && layout.rowCount == 2 && layout.slice == .milliseconds(30))
    }

    @Test func `a deferred job that fails spoils its lane`() async throws {
        let room = ComputeRoom(layers: Self.first, diary: EngineDiary())
        for (token, cause) in [
            (13, EngineError.failed(operation: "the script", code: 13, reason: "token 13")), (5, .cancelled),
        ] {
            guard
                case .failed(let failure, .some) = try await room.outcome(
                    of: Self.deferred(1, Self.rows([Token(token)])))
            else {
                Issue.record("token \(token) does not fail")
                return
            }
            #expect(failure.engineError == cause)
        }
    }

    @Test func `a stage without a disk passes over what is about disks, but cannot restore`() async throws {
        let key = SequenceKey(of: [1])
        for action in ArchiveOperation.Action.allCases {
            let diary = EngineDiary()
            let room = ComputeRoom(layers: Self.last, diary: diary)
            let job = ComputeJob(
                step: 5, operations: [.archive(ArchiveOperation(action, key: key)), .free(lane: Lane(2))],
                work: .operationsOnly)
            #expect(job.isShort == (action != .save && action != .restore))
            switch try await room.outcome(of: job) {
            case .sampled(let tokens): #expect(action != .restore && tokens.isEmpty)
            case .failed: #expect(action == .restore)
            case .forward, .broken: Issue.record("the last stage forwards")
            }
            #expect(diary.all == [.applied(.free(lane: Lane(2)))])
        }
    }
}
