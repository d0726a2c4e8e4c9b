import Vocabulary
import Wire

/// One frame of every kind with its exact bytes. Changing one of these breaks every release that is already running:
/// add a protocol version instead.
struct GoldenFrame: Sendable {
    var kind: FrameKind
    var hex: String
    var write: @Sendable (inout FrameWriter) throws(WireError) -> Void

    var bytes: [UInt8] { FrameBytes.bytes(hex: hex) }
}

enum GoldenFrames {
    static let digest = digest((0..<32).map { UInt8($0) })

    /// A digest of these 32 bytes.
    static func digest(_ bytes: [UInt8]) -> ModelDigest {
        guard let digest = ModelDigest(bytes: bytes) else { preconditionFailure("\(bytes.count) bytes are no digest") }
        return digest
    }

    static let hello = Hello(
        versions: 1...2, capabilities: .all, cluster: "flock", placement: "p-7", epoch: Epoch(term: 3, number: 9),
        role: .upstream, sender: StagePlace(index: 0, layers: LayerRange(first: 0, end: 3)),
        receiver: StagePlace(index: 1, layers: LayerRange(first: 3, end: 8)), model: digest, width: 256,
        format: .f32)
    static let acceptor = Acceptor(
        cluster: "flock", placement: "p-7", epoch: Epoch(term: 3, number: 9),
        place: StagePlace(index: 1, layers: LayerRange(first: 3, end: 8)),
        previous: StagePlace(index: 0, layers: LayerRange(first: 0, end: 3)),
        last: StagePlace(index: 1, layers: LayerRange(first: 3, end: 8)), model: digest, width: 256, format: .f32,
        roles: [.upstream])
    static let welcome = Welcome(
        version: 1, capabilities: [.f16, .bf16], epoch: Epoch(term: 3, number: 9),
        place: StagePlace(index: 1, layers: LayerRange(first: 3, end: 8)), frameByteLimit: 1 << 20)

    static var sequenceKey: SequenceKey {
        SequenceKey(bytes: (0..<32).map { UInt8($0) }) ?? SequenceKey(of: [])
    }

    static let rows = [
        StageRow(lane: Lane(2), position: 17, token: 421, samples: false),
        StageRow(lane: Lane(2), position: 18, token: 7, samples: true),
    ]
    static let activations: [Float] = [1, -2, 0.5, 0, 3, -0.25, 100, -1]

    static let operations: [SequenceOperation] = [
        .trim(lane: Lane(1), from: 40), .copy(from: Lane(1), to: Lane(3), length: 32), .free(lane: Lane(1)),
        .open(lane: Lane(1), sampling: sampling),
    ]
    static var sampling: LaneSampling {
        var parameters = SamplingParameters()
        parameters.temperature = 0.5
        parameters.seed = 11
        parameters.dryBreakers = ["\n"]
        parameters.logitBias = [LogitBias(token: 5, bias: -1)]
        return LaneSampling(
            parameters: parameters,
            grammar: LaneGrammar(text: "root ::= \"a\"", triggers: [.token(9), .pattern("x")]), topLogprobs: 2,
            promptLength: 6)
    }

    static let tokens = [
        SampledToken(lane: Lane(2), position: 19, token: 8),
        SampledToken(
            lane: Lane(3), position: 4, token: 9,
            logprob: TokenLogprob(
                chosen: .init(token: 9, bytes: [0x68, 0x69], logprob: -0.5),
                top: [.init(token: 10, bytes: [], logprob: -1)])),
    ]

    static var statistics: StageStatistics {
        var statistics = StageStatistics()
        statistics.stage = 1
        statistics.steps = 1
        statistics.rows = 2
        statistics.computeNanoseconds = 3
        statistics.encodeNanoseconds = 4
        statistics.decodeNanoseconds = 5
        statistics.sendNanoseconds = 6
        statistics.waitNanoseconds = 7
        statistics.sentBytes = 8
        statistics.receivedBytes = 9
        return statistics
    }

    static let outputEvent = GenerationEvent.output(
        OutputDelta(
            choice: 1, text: "hé", reasoning: "r", toolCalls: [ToolCallDelta(index: 0, id: "c1", arguments: "{}")],
            logprobs: [TokenLogprob(chosen: .init(token: 9, bytes: [0x68], logprob: -0.5), top: [])]))

    static let all: [GoldenFrame] = [
        GoldenFrame(
            kind: .hello,
            hex: """
                7000000001000200000000001997cb47
                534b454e010002000f000000000000000300000000000000090000000000000000000000000000000300000001000000
                0300000008000000010100000001000000000004000102030405060708090a0b0c0d0e0f101112131415161718191a1b
                1c1d1e1f05000300666c6f636b702d37
                """
        ) { writer throws(WireError) in try writer.hello(hello) },
        GoldenFrame(
            kind: .welcome,
            hex: """
                2c000000020001000000000088fc56f1
                0100000000001000030000000000000003000000000000000900000000000000010000000300000008000000
                """
        ) { writer throws(WireError) in try writer.welcome(welcome) },
        GoldenFrame(
            kind: .refuse,
            hex: """
                5a00000003000100000000004e5b7916
                0b004e00546865206469616c6572277320726f777320686176652032353620666c6f6174732c20746869732073746167
                652773203531323b20626f7468206e656564207468652073616d65206d6f64656c2e0001000000020000
                """
        ) { writer throws(WireError) in
            try writer.refuse(.width(offered: 256, held: 512))
        },
        GoldenFrame(
            kind: .step,
            hex: """
                3c0000001000010005000000ad151c57
                020001000200000011000000a50100000200010012000000070000000000803f000000c00000003f0000000000004040
                000080be0000c842000080bf
                """
        ) { writer throws(WireError) in
            try writer.step(5, rows: rows, activations: activations.span, width: 4, format: .f32)
        },
        GoldenFrame(
            kind: .operations,
            hex: """
                2301000011000100060000000658d408
                0400000002000100280000000300010003000000200000000400010001000100ff000000010400000600000002040000
                02000000030800000b00000000000000040400000000003f050400000000803f06040000000000000704000000000000
                080400000000803f09040000000080bf0a040000000000000b040000cdcccc3d0c040000000000000d0400000000803f
                0e0400000000803f0f04000000000000100400000000000011040000400000001204000000000000130400000000e03f
                140400000200000015040000ffffffff16050000010001000a1704000000000000180400000000a04019040000cdcccc
                3d1a08000005000000000080bf1b010000001c0c0000726f6f74203a3a3d202261221d0d000002000209000000010100
                000078
                """
        ) { writer throws(WireError) in
            try writer.operations(operations, before: 6)
        },
        GoldenFrame(
            kind: .result,
            hex: """
                340000001200010005000000f38dc461
                02000000020000001300000008000000030001000400000009000000010009000000000000bf020068690a0000000000
                80bf0000
                """
        ) { writer throws(WireError) in try writer.result(of: 5, tokens) },
        GoldenFrame(
            kind: .failure,
            hex: """
                27000000130001000500000023a1ac8b
                04000100feffffffffffffff0000000000000000060009006465636f64656e6f206d656d6f7279
                """
        ) { writer throws(WireError) in
            try writer.failure(
                of: 5, StageFailure(stage: 1, cause: .engine(operation: "decode", code: -2, reason: "no memory")))
        },
        GoldenFrame(
            kind: .fenced, hex: "10000000140001000500000086f99b2204000000000000000100000000000000"
        ) { writer throws(WireError) in
            try writer.fenced(step: 5, current: Epoch(term: 4, number: 1))
        },
        GoldenFrame(
            kind: .cancel, hex: "040000001500010005000000ef59778103000000"
        ) { writer throws(WireError) in try writer.cancel(from: 5, count: 3) },
        GoldenFrame(
            kind: .drain, hex: "000000001600010000000000fcc12b37"
        ) { writer throws(WireError) in try writer.drain() },
        GoldenFrame(
            kind: .drained, hex: "000000001700010000000000cc155a06"
        ) { writer throws(WireError) in try writer.drained() },
        GoldenFrame(
            kind: .ping, hex: "080000001800010000000000cccc98240807060504030201"
        ) { writer throws(WireError) in try writer.ping(0x0102_0304_0506_0708) },
        GoldenFrame(
            kind: .pong, hex: "080000001900010000000000713bdb130807060504030201"
        ) { writer throws(WireError) in try writer.pong(0x0102_0304_0506_0708) },
        GoldenFrame(
            kind: .statisticsRequest, hex: "000000001a000100000000004d468e7c"
        ) { writer throws(WireError) in try writer.statisticsRequest() },
        GoldenFrame(
            kind: .statistics,
            hex: """
                4c0000001b000100000000007a077f94
                010009000100000000000000020000000000000003000000000000000400000000000000050000000000000006000000
                00000000070000000000000008000000000000000900000000000000
                """
        ) { writer throws(WireError) in try writer.statistics(statistics) },
        GoldenFrame(
            kind: .archiveReport,
            hex: """
                240000001c0001000000000015194991
                000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f01000100
                """
        ) { writer throws(WireError) in
            try writer.archiveReport(ArchiveReport(key: sequenceKey, stage: 1, outcome: .stored))
        },
        GoldenFrame(
            kind: .deferredStep,
            hex: """
                3c0000001d000100050000007cb11dfc
                0200013c0200000011000000a50100000200010012000000070000000000803f000000c00000003f0000000000004040
                000080be0000c842000080bf
                """
        ) { writer throws(WireError) in
            try writer.step(
                5, rows: rows, activations: activations.span, width: 4, format: .f32, slice: .milliseconds(60),
                isDeferred: true)
        },
        GoldenFrame(
            kind: .generate, hex: "0a0000004000010000000000bd05dddd4d000000000000007b7d"
        ) { writer throws(WireError) in
            try writer.generate(RequestID(77), body: [UInt8]("{}".utf8).span.bytes)
        },
        GoldenFrame(
            kind: .cancelRequest, hex: "08000000410001000000000062652ba14d00000000000000"
        ) { writer throws(WireError) in
            try writer.cancelRequest(RequestID(77))
        },
        GoldenFrame(
            kind: .event,
            hex: """
                4100000042000100030000009e6281ba
                4d00000000000000030f01000300000068c3a90100000072010000000000000001000000020000006331020000007b7d
                01000000000009000000000000bf010068
                """
        ) { writer throws(WireError) in
            try writer.event(RequestID(77), sequence: 3, outputEvent)
        },
        GoldenFrame(
            kind: .reportRequest, hex: "00000000430001000000000053fd13be"
        ) { writer throws(WireError) in try writer.reportRequest() },
        GoldenFrame(kind: .report, hex: "020000004400010000000000760a22267b7d") { writer throws(WireError) in
            try writer.report([UInt8]("{}".utf8).span.bytes)
        },
    ]
}
