import Testing
import Vocabulary

@testable import Node

@Suite struct `Counting a stream` {
    static let chat = """
        data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}

        data: {"id":"c","choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}

        : keep-alive

        data: {"id":"c","choices":[{"index":0,"delta": {"content" : "\\"content\\": \\"x\\""},"finish_reason":null}]}

        data: {"id":"c","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":17,"total_tokens":26}}

        data: [DONE]


        """

    static let completions = """
        data: {"choices":[{"text":" a","index":0,"finish_reason":null}],"object":"text_completion"}

        data: {"choices":[{"text":"\\n","index":0,"finish_reason":null}],"object":"text_completion"}

        data: {"choices":[{"text":"","index":0,"finish_reason":"length"}],"usage":{"completion_tokens":2}}


        """

    static let messages = """
        event: message_start
        data: {"type":"message_start","message":{"content":[],"usage":{"input_tokens":3,"output_tokens":1}}}

        event: content_block_start
        data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

        event: content_block_delta
        data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}

        event: message_delta
        data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":5}}


        """

    static let ollama = """
        {"model":"m","message":{"role":"assistant","content":"one"},"done":false}
        {"model":"m","message":{"role":"assistant","content":" two"},"done":false}
        {"model":"m","message":{"role":"assistant","content":""},"done":true,"prompt_eval_count":9,"eval_count":2}

        """

    static let responses = """
        event: response.output_text.delta
        data: {"type":"response.output_text.delta","delta":"Hi","sequence_number":4}

        event: response.completed
        data: {"type":"response.completed","response":{"output":[{"text":"Hi"}],"usage":{"output_tokens":1}}}


        """

    @Test(arguments: [
        (StreamShape.chat, chat, 2, 17), (.completions, completions, 2, 2), (.messages, messages, 1, 5),
        (.ollama, ollama, 2, 2), (.responses, responses, 1, 1),
    ])
    func `pieces and tokens are the same however the bytes are cut`(
        shape: StreamShape, text: String, pieces: Int, tokens: Int
    ) {
        let bytes = Array(text.utf8)
        var random = SeededRandom(seed: 7)
        for longest in [1, 2, 3, 17, 64, bytes.count] {
            var counter = StreamCounter(shape)
            var counted = 0
            var rest = bytes[...]
            while !rest.isEmpty {
                let size = min(rest.count, 1 + random.below(longest))
                counted += counter.feed(rest.prefix(size))
                rest = rest.dropFirst(size)
            }
            #expect(counted == pieces)
            #expect(counter.pieces == pieces)
            #expect(counter.outputTokens == tokens)
        }
    }

    @Test func `a line without an end is given up at the limit`() {
        var counter = StreamCounter(.chat)
        let part = [UInt8](repeating: UInt8(ascii: "a"), count: 64 << 10)
        var fed = 0
        while !counter.isTooLong, fed <= BenchLimits.lineBytes {
            _ = counter.feed(part)
            fed += part.count
        }
        #expect(counter.isTooLong)
        #expect(fed == BenchLimits.lineBytes + part.count)
        #expect(counter.feed(Array(Self.chat.utf8)) == 0)
    }
}

@Suite struct `Figures of a load` {
    @Test(arguments: [(0.0, 1.0), (0.5, 2.5), (0.95, 3.85), (0.99, 3.97), (1.0, 4.0)])
    func `percentiles lie between neighbours`(fraction: Double, value: Double) {
        #expect(abs(Percentile.of(fraction, sorted: [1, 2, 3, 4]) - value) < 1e-9)
        #expect(Percentile.of(fraction, sorted: [7]) == 7)
        #expect(Percentile.of(fraction, sorted: []).isNaN)
    }

    private static func record(_ milliseconds: [UInt64], tokens: Int? = nil, sent: UInt64 = 0) -> LoadRecord {
        var record = LoadRecord()
        record.sent = sent * 1_000_000
        record.arrivals = milliseconds.map { $0 * 1_000_000 }
        record.ended = record.arrivals.last ?? 0
        record.outputTokens = tokens
        record.status = 200
        record.end = .complete
        return record
    }

    @Test func `a round counts tokens, waits and gaps`() {
        let figures = LoadFigures([
            Self.record([100, 200, 300, 400], tokens: 4), Self.record([200, 300, 400, 500], tokens: 4),
        ])
        #expect(figures.tokensPerSecond == 16)
        // From 200 ms to 400 ms, two pieces of each stream.
        #expect(figures.decodeTokensPerSecond == 20)
        #expect(figures.firsts == [100, 200])
        #expect(figures.gaps == [Double](repeating: 100, count: 6))
    }

    @Test func `a stream that stops for a long prompt shows it even when it never comes back`() {
        let long = Self.record([1000], sent: 500)
        var frozen = Self.record([100, 200, 300, 400, 500], tokens: nil)
        frozen.ended = 1_300_000_000
        frozen.end = .cut
        let lively = Self.record([100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100])
        let figures = ArrivalFigures(others: [frozen, lively], long: long)
        #expect(figures.firstMilliseconds == 500)
        #expect(figures.calm == [Double](repeating: 100, count: 8))
        #expect(figures.busy == [100, 100, 100, 100, 100, 800])
    }

    @Test func `an answer that is not what was asked for is named`() {
        let record = Self.record([100], tokens: 3)
        #expect(throws: Never.self) { try record.checked("a", tokens: 3) }
        #expect(throws: BenchError.self) { try record.checked("a", tokens: 4) }
        var refused = record
        refused.status = 404
        refused.opening = Array("no such model".utf8)
        let error = #expect(throws: BenchError.self) { try refused.checked("a") }
        #expect("\(error.map { "\($0)" } ?? "")".contains("a answered with status 404: no such model"))
        var cut = record
        cut.end = .cut
        #expect(throws: BenchError.self) { try cut.checked("a") }
    }

    @Test func `settings outside their limits are refused by name`() {
        var settings = ServeSettings()
        #expect(throws: Never.self) { try settings.check() }
        #expect(settings.slotTokens == 256)
        settings.longPrompt = 4000
        #expect(settings.slotTokens == 4608)
        settings.streams = [1, 65]
        let error = #expect(throws: DeploymentError.self) { try settings.check() }
        #expect(error.map { "\($0)" } == "--streams is 65; 1 … 64 are allowed.")
        (settings.streams, settings.keptTokens) = ([1], 9000)
        let both = #expect(throws: DeploymentError.self) { try settings.check() }
        #expect(both.map { "\($0)" } == "--kept-tokens is 9000; not together with --long-prompt.")
        settings.longPrompt = nil
        #expect(throws: Never.self) { try settings.check() }
        #expect(settings.keptConversations == [4096, 4096, 808])
    }

    @Test func `no two streams and runs share the beginning of a prompt`() {
        var seen: Set<[Int]> = []
        for run in 0..<20 {
            for stream in 0..<16 { seen.insert(Array(ServePair.prompt(64, run: run, stream: stream).prefix(4))) }
        }
        #expect(seen.count == 320)
    }
}
