import LlamaEngine
import NIOCore
import NIOPosix
import Serving
import Transport
import Vocabulary
import Wire

/// Drives a stage that is not the entry: frames come in from the stage before, are computed in order, and go on to
/// the next stage or, from the last one, straight back to the entry stage.
///
/// **Isolation:** the runner's event loop is the actor's executor, so a frame that arrives on the loop is handled
/// without a hop.
actor StageDriver {
    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { eventLoop.executor.asUnownedSerialExecutor() }

    private let identity: RunnerIdentity
    private let room: any Computing
    private var links: LinkTable
    private var forward: FrameLink?
    private var writer = FrameWriter(version: Handshake.versions.upperBound)
    private var pendingOperations: [SequenceOperation] = []
    private let lost: @Sendable (StageLoss) -> Void

    /// `lost` is told why, when a neighbour is gone: a stage without its chain has nothing left to do.
    init(
        identity: RunnerIdentity, room: any Computing, eventLoop: any EventLoop,
        lost: @escaping @Sendable (StageLoss) -> Void
    ) {
        self.identity = identity
        self.room = room
        self.eventLoop = eventLoop
        self.lost = lost
        links = LinkTable(identity)
    }

    /// The role of the link that leads on from this stage.
    private var onward: LinkRole { identity.configuration.isLast ? .directReturn : .upstream }

    /// Takes over a link this runner dialled.
    func dialled(_ link: FrameLink) throws(WireError) {
        try links.dialled(
            link, role: onward, to: identity.configuration.isLast ? 0 : identity.configuration.stageIndex + 1)
    }

    private var opening = Opening()

    /// Calls `report` once, when the onward link is open or refused.
    func whenOpened(_ report: @escaping @Sendable (RunnerError?) -> Void) { opening.wait(report) }

    private func receive(_ frame: InboundFrame, _ link: FrameLink) {
        do throws(WireError) {
            switch try links.received(frame, on: link) {
            case .nothing, .accepted: break
            case .opened(let role):
                guard role == onward else { break }
                forward = link
                opening.resolve(nil)
            case .refused(let role, let reason):
                opening.resolve(.linkFailed(role: "\(role)", reason: reason))
            case .frame(.upstream, let frame) where link !== forward: try take(frame)
            case .frame: break
            }
        } catch {
            link.close()
            lost(.own("\(error)"))
        }
    }

    private func take(_ frame: InboundFrame) throws(WireError) {
        switch try StageFrame.parse(frame.header, body: frame.body.readableBytesSpan, width: identity.width) {
        case .operations(let operations, before: _):
            pendingOperations += operations
        case .step(let layout):
            compute(
                ComputeJob(
                    step: layout.step, operations: takeOperations(), work: .frame(layout, frame.body),
                    slice: layout.slice))
        case .deferredStep(let layout):
            compute(
                ComputeJob(
                    step: layout.step, operations: [], work: .frame(layout, frame.body), slice: layout.slice,
                    isDeferred: true))
        case .failure(let failure, let step):
            compute(ComputeJob(step: step, operations: takeOperations(), work: .skip(failure)))
        case .cancel(let first, _):
            compute(ComputeJob(step: first, operations: takeOperations(), work: .operationsOnly))
        case .archiveReport(let report):
            tell(report)
        case .result, .fenced, .drain, .drained, .ping, .pong, .statisticsRequest, .statistics:
            break
        }
    }

    /// Passes on what became of this stage's part of a sequence on disk, or that of one before it.
    func tell(_ report: ArchiveReport) {
        guard let forward else { return }
        do throws(WireError) {
            try writer.archiveReport(report)
            forward.send(&writer)
        } catch {
            writer.removeAll()
            lost(.own("\(error)"))
        }
    }

    private func takeOperations() -> [SequenceOperation] {
        defer { pendingOperations.removeAll(keepingCapacity: true) }
        return pendingOperations
    }

    private func compute(_ job: ComputeJob) {
        if job.isShort, forward?.isClear ?? false, let outcome = room.runHere(job) {
            return finish(job.step, outcome)
        }
        let accepted = room.submit(job, on: eventLoop) { [self] outcome in
            assumeIsolated { $0.finish(job.step, outcome) }
        }
        if !accepted { lost(.own("more than \(waitingJobLimit) steps wait for one stage")) }
    }

    private func finish(_ step: UInt32, _ outcome: ComputeOutcome) {
        guard let forward else { return lost(.own("a step was computed before the onward link was open")) }
        do throws(WireError) {
            switch outcome {
            case .forward(let frames): forward.send(frames)
            case .sampled(let tokens):
                try writer.result(of: step, tokens)
                forward.send(&writer)
            case .failed(_, .some(let frames)): forward.send(frames)
            case .failed(let failure, nil):
                try writer.failure(of: step, failure)
                forward.send(&writer)
            case .broken(let reason): lost(.own(reason))
            }
        } catch {
            writer.removeAll()
            lost(.own("\(error)"))
        }
    }

    private func close(_ link: FrameLink, _ reason: LinkClosure) {
        guard let role = links.closed(link) else { return }
        opening.resolve(.linkFailed(role: "\(role)", reason: "\(reason)"))
        lost(.neighbour("the \(role) link is gone: \(reason)"))
    }
}

extension StageDriver: FrameLinkDelegate {
    nonisolated func link(_ link: FrameLink, received frame: InboundFrame) {
        assumeIsolated { $0.receive(frame, link) }
    }

    nonisolated func link(_ link: FrameLink, closed reason: LinkClosure) {
        assumeIsolated { $0.close(link, reason) }
    }
}
