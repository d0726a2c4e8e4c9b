import Dispatch
import NIOCore
import NIOPosix
import Serving
import Synchronization
import Vocabulary
import Wire

@testable import Runner

/// What an engine was asked to do, in order.
final class EngineDiary: Sendable {
    enum Entry: Hashable, Sendable {
        case applied(SequenceOperation)
        case executed([StageRow], activations: [Float])
        case paused([StageRow], after: Duration)
        case saved(Lane)
        case restored(Lane, [UInt8])
    }

    private let entries = Mutex<[Entry]>([])
    /// Has an element for every execution that started.
    let starts: AsyncStream<Void>
    private let start: AsyncStream<Void>.Continuation
    /// Waited for by every execution while `isGated`.
    let gate = DispatchSemaphore(value: 0)
    let isGated: Bool

    init(isGated: Bool = false) {
        self.isGated = isGated
        (starts, start) = AsyncStream.makeStream(of: Void.self)
    }

    func write(_ entry: Entry) { entries.withLock { $0.append(entry) } }

    /// Says that an execution started, and holds it up at the gate.
    func pass() {
        start.yield()
        if isGated { gate.wait() }
    }

    var all: [Entry] { entries.withLock { $0 } }
}

/// An engine that computes nothing: it adds one to every activation, samples the token after a row's own, refuses lane
/// 9, cannot open lane 8 and fails on token 13. Rows that may pause do so twice.
struct ScriptedEngine: StageEngine, ~Copyable {
    let shape: StageShape
    let diary: EngineDiary
    private var pauses = 0

    init(layers: LayerRange, diary: EngineDiary) {
        shape = StageShape(layers: layers, layerCount: 8, width: 2, cellCount: 64, laneCount: 8, rowLimit: 16)
        self.diary = diary
    }

    mutating func apply(_ operation: SequenceOperation) throws(EngineError) {
        diary.write(.applied(operation))
        if case .free(Lane(9)) = operation { throw .invalidRow(field: "lane", value: 9, limit: 7) }
        if case .open(Lane(8), _) = operation { throw .failed(operation: "opening", code: 8, reason: "lane 8") }
    }

    mutating func save(_ lane: Lane) throws(EngineError) -> [UInt8] {
        diary.write(.saved(lane))
        guard lane.index < 8 else { throw .invalidRow(field: "lane", value: Int(lane.index), limit: 7) }
        return [UInt8(lane.index), 42]
    }

    mutating func restore(_ lane: Lane, from bytes: [UInt8]) throws(EngineError) {
        diary.write(.restored(lane, bytes))
        guard bytes.count == 2 else { throw .failed(operation: "restoring", code: 1, reason: "\(bytes.count) bytes") }
    }

    mutating func advance(
        _ rows: [StageRow], activations: Span<Float>, for duration: Duration, into output: inout StageOutput
    ) throws(EngineError) -> Bool {
        guard pauses == 2 else {
            pauses += 1
            diary.write(.paused(rows, after: duration))
            diary.pass()
            return false
        }
        pauses = 0
        try execute(rows, activations: activations, into: &output)
        return true
    }

    mutating func execute(
        _ rows: [StageRow], activations: Span<Float>, into output: inout StageOutput
    ) throws(EngineError) {
        let incoming = activations.indices.map { activations[$0] }
        diary.write(.executed(rows, activations: incoming))
        diary.pass()
        output.samples.removeAll()
        output.activations.removeAll()
        guard rows.allSatisfy({ $0.token != 13 }) else {
            throw .failed(operation: "the script", code: 13, reason: "token 13")
        }
        if shape.isLast {
            output.samples = rows.filter(\.samples).map {
                SampledToken(lane: $0.lane, position: $0.position + 1, token: $0.token + 1)
            }
        } else if shape.isFirst {
            output.activations = rows.flatMap { [Float($0.token), Float($0.position)] }
        } else {
            output.activations = incoming.map { $0 + 1 }
        }
    }
}

extension ComputeRoom<ScriptedEngine> {
    convenience init(layers: LayerRange, diary: EngineDiary) {
        let engine = ScriptedEngine(layers: layers, diary: diary)
        self.init(engine, stageIndex: layers.first / 4, format: .f32)
    }

    /// Runs one job and waits for its outcome.
    func outcome(of job: ComputeJob) async throws -> ComputeOutcome {
        let (outcomes, sink) = AsyncStream.makeStream(of: ComputeOutcome.self)
        guard submit(job, on: MultiThreadedEventLoopGroup.singleton.next(), { sink.yield($0) }) else {
            throw EngineError.failed(operation: "submitting", code: 0, reason: "the room is full")
        }
        for await outcome in outcomes { return outcome }
        throw CancellationError()
    }
}

extension ByteBuffer {
    /// The frames in the buffer, checked and decoded.
    func stageFrames(width: Int) throws -> [StageFrame] {
        var rest = self
        var frames: [StageFrame] = []
        while let header = try FrameHeader.parse(rest.readableBytesSpan, rules: .established(version: 1)) {
            try header.verify(frame: rest.readableBytesSpan.extracting(0..<header.frameByteCount))
            rest.moveReaderIndex(forwardBy: FrameHeader.byteCount)
            guard let body = rest.readSlice(length: header.bodyByteCount) else { break }
            frames.append(try StageFrame.parse(header, body: body.readableBytesSpan, width: width))
        }
        return frames
    }
}
