import Foundation
import Testing
import Vocabulary
import Wire

@Suite struct `Broken frames` {
    /// What a mutated frame was taken for.
    private enum Outcome: Hashable {
        case frame(FrameKind)
        case error
        case waiting
    }

    @Test func `no mutation of a frame traps, and what is taken can be written again`() throws {
        let environment = ProcessInfo.processInfo.environment
        let seed = environment["SEED"].flatMap(UInt64.init) ?? 20_261
        print("SEED=\(seed)")
        var random = SeededRandom(seed: seed)
        let samples = try Self.samples()
        var frames = 0
        var errors = 0
        var kinds: Set<FrameKind> = []
        for round in 0..<100_000 {
            let sample = samples[round % samples.count]
            let bytes = mutated(sample, &random)
            switch outcome(bytes) {
            case .frame(let kind):
                frames += 1
                kinds.insert(kind)
            case .error: errors += 1
            case .waiting: break
            }
        }
        // Both ends of the road were really travelled.
        #expect(frames > 10_000)
        #expect(errors > 40_000)
        #expect(kinds.count >= FrameKind.allCases.count - 6)
    }

    @Test func `noise gives an error or nothing`() {
        var random = SeededRandom(seed: 8)
        for _ in 0..<2000 {
            let bytes = (0..<random.below(400)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            if case .frame(let kind) = outcome(bytes) {
                Issue.record("noise was taken for \(kind)")
            }
        }
    }

    /// Golden frames, and frames of every encoding, event and error, and with guesses.
    private static func samples() throws -> [[UInt8]] {
        var samples = GoldenFrames.all.map(\.bytes)
        let floats: [Float] = [0.1, -2, 3.7, 100, 0, 5, -6, 7]
        for format in WireFormat.allCases {
            samples.append(
                try FrameBytes.write { writer throws(WireError) in
                    try writer.step(
                        1, rows: GoldenFrames.rows, activations: floats.span, width: 4, format: format)
                })
        }
        for event in RunnerEvents.all {
            samples.append(
                try FrameBytes.write { writer throws(WireError) in
                    try writer.event(RequestID(1), sequence: 0, event)
                })
        }
        for refusal in `The handshake`.refusals {
            samples.append(try FrameBytes.write { writer throws(WireError) in try writer.refuse(refusal) })
        }
        let wishes = [nil, GuessWish(width: 15, floor: 0.5)].map { SequenceOperation.guess(lane: Lane(1), $0) }
        samples.append(try FrameBytes.write { writer throws(WireError) in try writer.operations(wishes, before: 1) })
        var guessed = GoldenFrames.tokens
        for index in guessed.indices {
            guessed[index].guesses = (0...index).map { TokenGuess(token: Token($0), probability: 0.75) }
        }
        let tokens = guessed
        samples.append(try FrameBytes.write { writer throws(WireError) in try writer.result(of: 1, tokens) })
        return samples
    }

    private func mutated(_ sample: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
        var bytes = sample
        // Most mutations get a fitting checksum, else nothing reaches the body's decoder; some of these change the
        // header too, so that a body is read as one of another kind.
        let isSealed = random.below(8) > 0
        let start = !isSealed ? 0 : random.below(4) == 0 ? 4 : 16
        if isSealed, start == 4, random.below(2) == 0 {
            bytes[4] = FrameKind.allCases[random.below(FrameKind.allCases.count)].rawValue
        }
        for _ in 0...random.below(3) where bytes.count > start {
            let index = start + random.below(bytes.count - start)
            switch random.below(7) {
            case 0: bytes[index] ^= 1 << UInt8(random.below(8))
            case 1: bytes[index] = UInt8(truncatingIfNeeded: random.next())
            case 2: bytes[index] = [0, 1, 0x7F, 0x80, 0xFF][random.below(5)]
            case 3: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: index)
            case 4: bytes.remove(at: index)
            case 5: bytes.removeLast(min(bytes.count - start, random.below(8)))
            default: bytes += bytes[index..<min(index + 8, bytes.count)]
            }
        }
        if isSealed { FrameBytes.seal(&bytes) }
        return bytes
    }

    private func outcome(_ bytes: [UInt8]) -> Outcome {
        let isHandshake = bytes.count > 4 && (1...3).contains(bytes[4])
        let rules = isHandshake ? FrameRules.handshake : .established(version: 1, frameByteLimit: 1 << 16)
        var kind: FrameKind?
        do throws(WireError) {
            for (header, body) in try FrameBytes.frames(bytes, rules: rules) {
                try read(header, body.span.bytes)
                kind = header.kind
            }
        } catch { return .error }
        return kind.map(Outcome.frame) ?? .waiting
    }

    /// Reads everything there is in a frame and writes it again: the second reading must give the same bytes.
    private func read(_ header: FrameHeader, _ body: RawSpan) throws(WireError) {
        var writer = FrameWriter(version: header.version)
        if header.kind.isHandshake {
            try writer.message(try Handshake.parse(header, body: body))
        } else if header.kind.isRunner {
            try writer.frame(try RunnerFrame.parse(header, body: body))
        } else {
            let frame = try StageFrame.parse(header, body: body, width: 4)
            if let (layout, isDeferred) = frame.rows {
                var rows: [StageRow] = []
                var floats: [Float] = []
                layout.rows(of: body, into: &rows)
                layout.activations(of: body, into: &floats)
                #expect(rows.count == layout.rowCount)
                guard layout.encoding == .f32 else { return }
                try writer.step(
                    layout.step, rows: rows, activations: floats.span, width: layout.width, format: .f32,
                    slice: layout.slice, isDeferred: isDeferred)
                #expect(FrameBytes.written(writer).dropFirst(16).elementsEqual(body.withUnsafeBytes { [UInt8]($0) }))
                return
            }
            try writer.frame(frame)
        }
        let again = FrameBytes.written(writer)
        var third = FrameWriter(version: header.version)
        let rules = header.kind.isHandshake ? FrameRules.handshake : .established(version: header.version)
        for (header, body) in try FrameBytes.frames(again, rules: rules) {
            if header.kind.isHandshake {
                try third.message(try Handshake.parse(header, body: body.span.bytes, newest: .max))
            } else if header.kind.isRunner {
                try third.frame(try RunnerFrame.parse(header, body: body.span.bytes))
            } else {
                try third.frame(try StageFrame.parse(header, body: body.span.bytes, width: 4))
            }
        }
        #expect(FrameBytes.written(third) == again)
    }
}

extension StageFrame {
    fileprivate var rows: (StepLayout, isDeferred: Bool)? {
        switch self {
        case .step(let layout): (layout, false)
        case .deferredStep(let layout): (layout, true)
        default: nil
        }
    }
}

extension FrameWriter {
    fileprivate mutating func message(_ message: Handshake.Message) throws(WireError) {
        switch message {
        case .hello(let hello): try self.hello(hello)
        case .welcome(let welcome): try self.welcome(welcome)
        case .refuse(let refusal): try refuse(refusal, versions: 0...version)
        }
    }

    fileprivate mutating func frame(_ frame: StageFrame) throws(WireError) {
        switch frame {
        case .step, .deferredStep: break
        case .operations(let operations, let step): try self.operations(operations, before: step)
        case .result(let tokens, let step): try result(of: step, tokens)
        case .failure(let failure, let step): try self.failure(of: step, failure)
        case .fenced(let epoch, let step): try fenced(step: step, current: epoch)
        case .cancel(let first, let count): try cancel(from: first, count: count)
        case .drain: try drain()
        case .drained: try drained()
        case .ping(let token): try ping(token)
        case .pong(let token): try pong(token)
        case .statisticsRequest: try statisticsRequest()
        case .statistics(let statistics): try self.statistics(statistics)
        case .archiveReport(let report): try archiveReport(report)
        }
    }

    fileprivate mutating func frame(_ frame: RunnerFrame) throws(WireError) {
        switch frame {
        case .generate(let id, let body): try generate(id, body: body.span.bytes)
        case .cancelRequest(let id): try cancelRequest(id)
        case .event(let id, let sequence, let event): try self.event(id, sequence: sequence, event)
        case .reportRequest: try reportRequest()
        case .report(let body): try report(body.span.bytes)
        }
    }
}
