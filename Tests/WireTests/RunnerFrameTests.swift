import Testing
import Vocabulary
import Wire

/// Every case of an event and of an error, with and without its optional parts.
enum RunnerEvents {
    static let errors: [GenerationError] = [
        .invalidField(name: "temperature", value: "-1", limit: "0 … 2 is allowed"),
        .unsupported(feature: "audio", remedy: "send text"),
        .contextLengthExceeded(promptTokens: 9000, outputTokens: .max, window: 4096),
        .modelNotFound(name: "ü", available: ["a", "b"]), .modelNotFound(name: "x", available: []),
        .modelAmbiguous(name: "ü", candidates: ["a", "b"]), .modelAmbiguous(name: "x", candidates: []),
        .modelNotReady(name: "a", reason: "loading", retryAfterSeconds: 3),
        .overloaded(queued: 4, limit: 4, retryAfterSeconds: 9), .stageLost(stage: 2, reason: "connection reset"),
        .deadlineExceeded(seconds: 0.25), .cancelled, .engineFailed(reason: "no memory"),
    ]

    static let outputs: [OutputDelta] = [
        OutputDelta(), OutputDelta(text: "hé🪶"), OutputDelta(choice: 7, reasoning: "because"),
        OutputDelta(toolCalls: [
            ToolCallDelta(index: 0, id: "call_1", name: "weather"),
            ToolCallDelta(index: 1, arguments: "{\"city\":"), ToolCallDelta(index: 2, name: ""),
        ]),
        OutputDelta(
            text: "a",
            logprobs: [
                TokenLogprob(
                    chosen: .init(token: 1, bytes: [0xFF], logprob: -.infinity),
                    top: [.init(token: 2, bytes: [1, 2, 3], logprob: 0), .init(token: 3, bytes: [], logprob: -9)]),
                TokenLogprob(chosen: .init(token: -1, bytes: [], logprob: 0), top: []),
            ]),
        journalled, embedded, inspected,
    ]

    static var inspected: OutputDelta {
        var delta = OutputDelta(text: "t")
        delta.tokens = [TokenText(token: .max, bytes: []), TokenText(token: -1, bytes: [0xC3, 0xFF, 0])]
        return delta
    }

    static var embedded: OutputDelta {
        var delta = OutputDelta(choice: 0)
        delta.vector = [0.25, -1, 3]
        return delta
    }

    static var journalled: OutputDelta {
        var delta = OutputDelta(choice: 1, text: "b")
        delta.journal = [7, -1, .max]
        return delta
    }

    static let completion = Completion(
        finishReasons: [.stop, .length, .toolCalls], stopTexts: [nil, "", "END"],
        usage: Usage(promptTokens: 10, cachedTokens: 8, outputTokens: 5, reasoningTokens: 2),
        timings: Timings(queueSeconds: 0.5, prefillSeconds: 1.25, decodeSeconds: 1e-9))

    static let all: [GenerationEvent] =
        [
            .queued(position: 1, predictedWaitSeconds: nil), .queued(position: 70_000, predictedWaitSeconds: 2.5),
            .started(promptTokens: 100, cachedTokens: 64), .finished(completion),
        ] + outputs.map(GenerationEvent.output) + errors.map(GenerationEvent.failed)
}

@Suite struct `Frames between node and runner` {
    @Test(arguments: RunnerEvents.all)
    func `every event comes back with its request and number`(event: GenerationEvent) throws {
        let bytes = try FrameBytes.write { writer throws(WireError) in
            try writer.event(RequestID(.max), sequence: 41, event)
        }
        #expect(try FrameBytes.runnerFrame(bytes) == .event(RequestID(.max), sequence: 41, event))
    }

    @Test func `every case of an event and an error is among them`() {
        let events = Set(
            RunnerEvents.all.compactMap { event -> EventCode? in
                switch event {
                // Said by nodes to clients, never between a runner and its node.
                case .preparing: nil
                case .queued: .queued
                case .started: .started
                case .output: .output
                case .finished: .finished
                case .failed: .failed
                }
            })
        #expect(events == Set(EventCode.allCases))
        let errors = Set(
            RunnerEvents.errors.compactMap { error -> ErrorCode? in
                switch error {
                // Said by nodes to clients, never between a runner and its node.
                case .clientTooSlow: nil
                case .invalidField: .invalidField
                case .unsupported: .unsupported
                case .contextLengthExceeded: .contextLengthExceeded
                case .modelNotFound: .modelNotFound
                case .modelAmbiguous: .modelAmbiguous
                case .modelNotReady: .modelNotReady
                case .overloaded: .overloaded
                case .stageLost: .stageLost
                case .deadlineExceeded: .deadlineExceeded
                case .cancelled: .cancelled
                case .engineFailed: .engineFailed
                }
            })
        #expect(errors == Set(ErrorCode.allCases))
    }

    @Test func `a token's text costs 32 bytes more than itself`() throws {
        let bytes = try FrameBytes.write { writer throws(WireError) in
            try writer.event(RequestID(1), sequence: 0, .output(OutputDelta(text: "hello")))
        }
        #expect(bytes.count == 16 + 8 + 4 + 4 + 5)
    }

    @Test func `requests, cancellations and reports come back`() throws {
        let body = [UInt8]("{\"model\":\"m\"}".utf8)
        let frames: [(RunnerFrame, (inout FrameWriter) throws(WireError) -> Void)] = [
            (
                .generate(RequestID(5), body: body),
                { w throws(WireError) in try w.generate(RequestID(5), body: body.span.bytes) }
            ),
            (
                .generate(RequestID(6), body: []),
                { w throws(WireError) in
                    try w.generate(RequestID(6), body: [UInt8]().span.bytes)
                }
            ),
            (.cancelRequest(RequestID(7)), { w throws(WireError) in try w.cancelRequest(RequestID(7)) }),
            (.reportRequest, { w throws(WireError) in try w.reportRequest() }),
            (.report(body), { w throws(WireError) in try w.report(body.span.bytes) }),
        ]
        for (frame, write) in frames {
            #expect(try FrameBytes.runnerFrame(try FrameBytes.write(write)) == frame)
        }
    }

    @Test func `an error's long texts are cut and long lists shortened, so every request gets its end`() throws {
        let long = String(repeating: "x", count: 1 << 20)
        let many = [String](repeating: long, count: 200)
        let bytes = try FrameBytes.write { writer throws(WireError) in
            try writer.event(RequestID(1), sequence: 0, .failed(.modelNotFound(name: long, available: many)))
        }
        #expect(bytes.count <= 2 << 20)
        guard
            case .event(_, _, .failed(.modelNotFound(let name, let available))) = try FrameBytes.runnerFrame(bytes)
        else {
            Issue.record("another error")
            return
        }
        #expect(name.utf8.count == Limits.errorTextBytes)
        #expect(available.count == Limits.listedModels)
    }

    @Test func `numbers that do not fit are refused by name`() {
        func error(_ event: GenerationEvent) -> WireError? {
            do throws(WireError) {
                _ = try FrameBytes.write { writer throws(WireError) in
                    try writer.event(RequestID(1), sequence: 0, event)
                }
            } catch { return error }
            return nil
        }
        #expect(
            error(.queued(position: -1, predictedWaitSeconds: nil))
                == .cannotEncode(field: "event.queued.position", value: -1, allowed: "0 … 4294967295"))
        #expect(
            error(.output(OutputDelta(choice: 5000)))
                == .cannotEncode(field: "event.choice", value: 5000, allowed: "0 … 1024"))
        #expect(error(.started(promptTokens: 1 << 40, cachedTokens: 0)) != nil)
        #expect(error(.failed(.clientTooSlow(limit: 1))) != nil)
    }

    @Test func `an unknown event, flag or reason is refused by name`() throws {
        func error(_ event: GenerationEvent, at offset: Int, _ value: UInt8) throws -> WireError? {
            var bytes = try FrameBytes.write { writer throws(WireError) in
                try writer.event(RequestID(1), sequence: 0, event)
            }
            bytes[16 + offset] = value
            FrameBytes.seal(&bytes)
            do throws(WireError) { _ = try FrameBytes.runnerFrame(bytes) } catch { return error }
            return nil
        }
        #expect(
            try error(.failed(.cancelled), at: 8, 6)
                == .invalidValue(field: "event.code", offset: 8, value: 6, allowed: "1 … 5"))
        #expect(
            try error(.failed(.cancelled), at: 9, 1)
                == .invalidValue(field: "event.flags", offset: 9, value: 1, allowed: "0 … 0"))
        #expect(
            try error(.failed(.cancelled), at: 12, 12)
                == .invalidValue(field: "error.code", offset: 12, value: 12, allowed: "1 … 11"))
        #expect(
            try error(.finished(RunnerEvents.completion), at: 16, 4)
                == .invalidValue(field: "event.finishReason", offset: 16, value: 4, allowed: "1 … 3"))
        #expect(try error(.failed(.cancelled), at: 10, 1) == .limitExceeded(field: "event.choice", value: 1, limit: 0))
    }
}
