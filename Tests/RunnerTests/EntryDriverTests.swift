import Dispatch
import Foundation
import NIOCore
import NIOPosix
import Serving
import Synchronization
import Testing
import Transport
import Vocabulary
import Wire

@testable import Runner

@Suite(.timeLimit(.minutes(1))) struct `The entry stage` {
    @Test func `an event that cannot be sent ends its request once and leaves no client behind`() async throws {
        // More calls at once than an event holds.
        try await EntryRig.with(ScriptedRenderer(callCount: Wire.Limits.eventParts + 1)) { entry in
            try entry.generate(1, "ab")
            guard case .event(RequestID(1), sequence: 0, .started) = try await entry.node.next(),
                case .event(RequestID(1), sequence: 1, .failed(.engineFailed(let reason))) = try await entry.node.next()
            else {
                Issue.record("the request did not start and fail")
                return
            }
            #expect(reason.contains("could not be sent"))
            try entry.send { writer throws(WireError) in try writer.reportRequest() }
            guard case .report(let body) = try await entry.node.next() else {
                Issue.record("the request ended twice")
                return
            }
            let report = try JSONDecoder().decode(EntryReport.self, from: Data(body))
            #expect(report.active == 0 && report.idleMilliseconds != nil)
        }
    }

    @Test func `what is cancelled while it waits to be prepared is not prepared`() async throws {
        let renderer = ScriptedRenderer(isGated: true)
        try await EntryRig.with(renderer) { entry in
            try entry.generate(1, "ab")
            for await _ in renderer.starts { break }
            for id in [2, 3] as [UInt64] {
                try entry.generate(id, "ab")
                try entry.send { writer throws(WireError) in try writer.cancelRequest(RequestID(id)) }
                guard case .event(RequestID(id), _, .failed(.cancelled)) = try await entry.node.next() else {
                    Issue.record("request \(id) was not cancelled")
                    return
                }
            }
            try entry.generate(4, "ab")
            // For the first and the fourth.
            for _ in 0..<2 { renderer.gate.signal() }
            var ended: Set<RequestID> = []
            while ended.count < 2 {
                if case .event(let id, _, let event) = try await entry.node.next(), event.isTerminal {
                    ended.insert(id)
                }
            }
            #expect(ended == [RequestID(1), RequestID(4)])
            #expect(renderer.prepared == [RequestID(1), RequestID(4)])
        }
    }

    @Test func `callers take turns in being prepared`() async throws {
        let renderer = ScriptedRenderer(isGated: true)
        try await EntryRig.with(renderer) { entry in
            try entry.generate(1, "ab", caller: "busy")
            for await _ in renderer.starts { break }
            for id in [2, 3] as [UInt64] { try entry.generate(id, "ab", caller: "busy") }
            try entry.generate(4, "ab", caller: "other")
            // It is read behind all others, and ends then: they wait to be prepared.
            try entry.generate(5, "ab", seconds: 0, caller: "busy")
            guard case .event(RequestID(5), sequence: 0, .failed(.deadlineExceeded)) = try await entry.node.next()
            else {
                Issue.record("the last request did not end by its deadline")
                return
            }
            for _ in 0..<4 { renderer.gate.signal() }
            #expect(try await entry.finished(of: 4) == 4)
            #expect(renderer.prepared.map(\.value) == [1, 2, 4, 3])
        }
    }

    @Test func `who has its share of the places is refused, and others are not`() async throws {
        let renderer = ScriptedRenderer(isGated: true)
        try await EntryRig.with(renderer) { entry in
            let share = 192 as UInt64
            for id in 1...(share + 1) { try entry.generate(id, "ab", caller: "busy") }
            guard
                case .event(RequestID(193), sequence: 0, .failed(.overloaded(queued: 192, limit: 192, let retry))) =
                    try await entry.node.next()
            else {
                Issue.record("the caller was not refused")
                return
            }
            #expect((1...60).contains(retry))
            try entry.generate(share + 2, "ab", caller: "other")
            for id in 2...share {
                try entry.send { writer throws(WireError) in try writer.cancelRequest(RequestID(id)) }
            }
            #expect(try await entry.finished(of: Int(share) - 1) == 0)
            // For the first and the last.
            for _ in 0..<2 { renderer.gate.signal() }
            #expect(try await entry.finished(of: 2) == 2)
            #expect(renderer.prepared == [RequestID(1), RequestID(share + 2)])
        }
    }

    @Test func `a request ends when its time is up, also while it is prepared or waits for that`() async throws {
        let renderer = ScriptedRenderer(isGated: true)
        try await EntryRig.with(renderer) { entry in
            // Nobody opens the gate: only their deadlines can end them.
            for id in [1, 2] as [UInt64] { try entry.generate(id, "ab", seconds: 0.05) }
            var expired: Set<RequestID> = []
            for _ in 0..<2 {
                guard
                    case .event(let id, sequence: 0, .failed(.deadlineExceeded(seconds: 0.05))) =
                        try await entry.node.next()
                else {
                    Issue.record("a request did not end by its deadline")
                    return
                }
                expired.insert(id)
            }
            #expect(expired == [RequestID(1), RequestID(2)])
            // What comes back of the others is thrown away.
            try entry.generate(3, "ab", seconds: 60)
            for _ in 0..<3 { renderer.gate.signal() }
            while true {
                guard case .event(let id, _, let event) = try await entry.node.next() else { continue }
                #expect(id == RequestID(3))
                guard event.isTerminal else { continue }
                if case .finished = event { break }
                Issue.record("the last request did not finish: \(event)")
                return
            }
            try entry.send { writer throws(WireError) in try writer.reportRequest() }
            guard case .report(let body) = try await entry.node.next() else {
                Issue.record("a request ended twice")
                return
            }
            #expect(try JSONDecoder().decode(EntryReport.self, from: Data(body)).active == 0)
        }
    }

    @Test func `of what is prepared only that ends whose time is up`() throws {
        let arrival = Instant(nanoseconds: 7)
        func deadline(_ timeout: Double?, elapsed: Double? = nil) -> Preparations.Deadline? {
            var request = GenerationRequest(id: RequestID(1), model: "tiny", prompt: .text("x"))
            (request.timeoutSeconds, request.elapsedSeconds) = (timeout, elapsed)
            return Preparations.Deadline(of: request, arrival: arrival)
        }
        #expect(deadline(3)?.at == arrival.advanced(by: .seconds(3)))
        #expect(
            deadline(3, elapsed: 1)?.at == arrival.advanced(by: .seconds(2)) && deadline(3, elapsed: 1)?.seconds == 3)
        #expect(deadline(3, elapsed: .infinity)?.at == arrival)
        // Another node's words: what is no time is refused when it is looked at, and no reason to end here.
        for none in [nil, -1, .nan, .infinity, 1e300] as [Double?] { #expect(deadline(none) == nil) }

        var preparations = Preparations()
        let tickets = (1...4 as ClosedRange<UInt64>).compactMap { preparations.begin(RequestID($0)) }
        #expect(tickets.count == 4 && preparations.nextDeadline == nil)
        for (index, timeout) in ([nil, 5, 2, 2] as [Double?]).enumerated() {
            guard let limit = deadline(timeout) else { continue }
            preparations.note(limit, of: RequestID(UInt64(index + 1)), tickets[index])
        }
        #expect(preparations.nextDeadline == arrival.advanced(by: .seconds(2)))
        let early = preparations.expire(now: arrival.advanced(by: .milliseconds(1999)))
        let expired = preparations.expire(now: arrival.advanced(by: .seconds(2)))
        #expect(early.isEmpty && expired.map(\.id) == [RequestID(3), RequestID(4)])
        #expect(expired.map(\.seconds) == [2, 2] && tickets.map(\.isCancelled) == [false, false, true, true])
        #expect(preparations.nextDeadline == arrival.advanced(by: .seconds(5)) && preparations.count == 4)
        // The same request comes again; what was read of it before says nothing of it.
        let again = preparations.begin(RequestID(3))
        let newer = try #require(again)
        let late = try #require(deadline(1))
        preparations.note(late, of: RequestID(3), tickets[2])
        #expect(preparations.nextDeadline == arrival.advanced(by: .seconds(5)))
        let isOldAwaited = preparations.end(RequestID(3), tickets[2])
        let isNewAwaited = preparations.end(RequestID(3), newer)
        #expect(!isOldAwaited && isNewAwaited && preparations.count == 3)
    }

    @Test func `one caller leaves places to others`() {
        var preparations = Preparations()
        var tickets: [Preparations.Ticket] = []
        func takeAll(of caller: String?) -> Int {
            let before = tickets.count
            while let ticket = preparations.begin(RequestID(UInt64(tickets.count)), of: caller) {
                tickets.append(ticket)
            }
            return tickets.count - before
        }
        func refusal(of caller: String?) -> GenerationError? {
            switch preparations.begin(RequestID(999), of: caller, retryAfterSeconds: 7) {
            case .success: nil
            case .failure(let refusal): refusal
            }
        }
        let shares = ["a", "b", "c", "d"].map { takeAll(of: $0) }
        #expect(shares == [192, 48, 12, 3])
        let own = refusal(of: "b")
        #expect(own == .overloaded(queued: 48, limit: 48, retryAfterSeconds: 7))
        let last = takeAll(of: "e")
        let others = [refusal(of: "f"), refusal(of: nil)]
        #expect(last == 1)
        for other in others { #expect(other == .overloaded(queued: 256, limit: 256, retryAfterSeconds: 7)) }
        // A place that is free again is nobody's who has more than others.
        let isAwaited = preparations.end(RequestID(0), tickets[0])
        let again = refusal(of: "a")
        #expect(isAwaited && again == .overloaded(queued: 191, limit: 191, retryAfterSeconds: 7))
        let newcomer = takeAll(of: "f")
        #expect(newcomer == 1 && preparations.count == Preparations.limit)
    }

    @Test func `a place is taken until the thread is done with it`() throws {
        var preparations = Preparations()
        var tickets: [Preparations.Ticket] = []
        for id in 0..<UInt64(Preparations.limit) {
            let ticket = preparations.begin(RequestID(id))
            tickets.append(try #require(ticket))
        }
        let isRefused = preparations.begin(RequestID(999)) == nil
        #expect(isRefused)
        for id in tickets.indices {
            let wasUnderWay = preparations.cancel(RequestID(UInt64(id)))
            #expect(wasUnderWay && tickets[id].isCancelled)
        }
        let isRefusedStill = preparations.begin(RequestID(999)) == nil
        #expect(isRefusedStill && preparations.count == Preparations.limit)
        // The same request comes again while the thread still has what was cancelled of it.
        let isAwaited = preparations.end(RequestID(7), tickets[7])
        let again = preparations.begin(RequestID(8))
        let newer = try #require(again)
        let isOldAwaited = preparations.end(RequestID(8), tickets[8])
        let isNewAwaited = preparations.end(RequestID(8), newer)
        #expect(!isAwaited && !isOldAwaited && isNewAwaited)
        let isKnown = preparations.cancel(RequestID(8))
        #expect(!isKnown && preparations.count == Preparations.limit - 2)
    }

    @Test(arguments: [1, 2])
    func `prompts that are deferred and others go through every stage in their order`(stages: Int) async throws {
        try await EntryRig.with(ScriptedRenderer(), stages: stages, defers: 12) { entry in
            var random = SeededRandom(seed: 5)
            for id in 1...960 as ClosedRange<UInt64> {
                try entry.generate(id, String(repeating: "a", count: 1 + random.below(40)))
                if id % 6 == 0 { #expect(try await entry.finished(of: 6) == 6) }
            }
            for diary in entry.diaries {
                var ends: [Lane: Int32] = [:]
                for entry in diary.all {
                    switch entry {
                    case .applied(.open(let lane, _)): ends[lane] = 0
                    case .applied(.free(let lane)): ends[lane] = nil
                    case .executed(let rows, _):
                        for row in rows {
                            #expect(ends[row.lane] == row.position)
                            ends[row.lane] = row.position + 1
                        }
                    case .applied, .paused, .saved, .restored: break
                    }
                }
                let pauses = diary.all.count { if case .paused = $0 { true } else { false } }
                #expect(pauses > 0 && pauses % 2 == 0)
            }
        }
    }

    @Test func `a grammar that is admitted travels`() {
        #expect(Serving.Limits.grammarBytes == Wire.Limits.grammarBytes)
    }
}

extension Preparations {
    /// Takes a place; nil when there is none.
    fileprivate mutating func begin(_ id: RequestID, of caller: String? = nil) -> Ticket? {
        try? begin(id, of: caller, retryAfterSeconds: 1).get()
    }
}

/// An entry stage, alone or with another one behind it, and the node that speaks with it.
private struct EntryRig {
    let link: FrameLink
    let node: ControlPeer
    /// What each stage's engine was asked to do.
    let diaries: [EngineDiary]

    static func with(
        _ renderer: ScriptedRenderer, stages count: Int = 1, defers rows: Int? = nil,
        _ body: (EntryRig) async throws -> Void
    ) async throws {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let identity = try RunnerIdentity(Configurations.stage(0, of: count), width: 2)
        let stages = identity.configuration.stages
        let diaries = stages.map { _ in EngineDiary() }
        var settings = EngineSettings(
            shapes: stages.map {
                StageShape(layers: $0, layerCount: 8, width: 2, cellCount: 512, laneCount: 4, rowLimit: 16)
            }, window: 64, seed: 1)
        if let rows { settings.policy = Deferring(rows: rows) }
        let driver = EntryDriver(
            identity: identity, settings: settings,
            tools: EntryTools(tokenizer: ByteTokenizer(), renderer: renderer, window: 64, isEncoder: false),
            room: ComputeRoom(layers: stages[0], diary: diaries[0]), eventLoop: eventLoop, lost: { _ in })
        if rows != nil { await driver.letPause() }
        let endpoint = LinkEndpoint(on: eventLoop)
        let listener = try await endpoint.listen(at: .tcp(host: "127.0.0.1", port: 0)) { driver }
        let address = LinkAddress.tcp(host: "127.0.0.1", port: try #require(listener.localAddress?.port))
        var last: (any Channel)?
        if count == 1 {
            try await driver.computeInTurns()
        } else {
            last = try await follow(driver, at: address, diaries[1], endpoint, eventLoop)
        }
        let node = ControlPeer(on: eventLoop)
        let link = try await endpoint.connect(to: address, delegate: node)
        let entry = EntryRig(link: link, node: node, diaries: diaries)
        var hello = identity.hello(role: .control, to: 0)
        hello.sender = nil
        let offer = hello
        try entry.send { writer throws(WireError) in try writer.hello(offer) }
        try await body(entry)
        try await link.channel.close().get()
        try await last?.close().get()
        try await listener.close().get()
    }

    /// The second stage of two, linked with the first one.
    private static func follow(
        _ first: EntryDriver, at address: LinkAddress, _ diary: EngineDiary, _ endpoint: LinkEndpoint,
        _ eventLoop: any EventLoop
    ) async throws -> any Channel {
        let identity = try RunnerIdentity(Configurations.stage(1), width: 2)
        let driver = StageDriver(
            identity: identity, room: ComputeRoom(layers: identity.configuration.layers, diary: diary),
            eventLoop: eventLoop, lost: { _ in })
        let listener = try await endpoint.listen(at: .tcp(host: "127.0.0.1", port: 0)) { driver }
        let own = LinkAddress.tcp(host: "127.0.0.1", port: try #require(listener.localAddress?.port))
        try await first.dialled(endpoint.connect(to: own, delegate: first))
        try await driver.dialled(endpoint.connect(to: address, delegate: driver))
        let (opened, sink) = AsyncStream.makeStream(of: RunnerError?.self)
        await first.whenOpened { sink.yield($0) }
        for await error in opened {
            if let error { throw error }
            break
        }
        return listener
    }

    /// Defers so many rows at a time of prompts that have more left than that.
    private struct Deferring: BatchPolicy {
        let rows: Int

        func depth(stageCount: Int) -> Int { stageCount }
        func quota(for load: BatchLoad) -> BatchQuota { EvenBatchPolicy().quota(for: load) }
        /// Quick enough for the event loop to compute short steps itself.
        func expectedNanoseconds(rows: Int) -> Double? { Double(rows) }
        func deferredRows(for load: BatchLoad) -> Int { load.hasDeferred || load.firstPromptRows > rows ? rows : 0 }
    }

    /// How many answers end well until so many have ended.
    func finished(of count: Int) async throws -> Int {
        var (ended, finished) = (0, 0)
        while ended < count {
            guard case .event(_, _, let event) = try await node.next(), event.isTerminal else { continue }
            ended += 1
            if case .finished = event { finished += 1 }
        }
        return finished
    }

    /// Sends a frame.
    func send(_ fill: (inout FrameWriter) throws(WireError) -> Void) throws {
        var writer = FrameWriter(version: Handshake.versions.upperBound)
        try fill(&writer)
        link.send(&writer)
    }

    /// Sends a request for a few tokens.
    func generate(_ id: UInt64, _ text: String, seconds: Double? = nil, caller: String? = nil) throws {
        var request = GenerationRequest(id: RequestID(id), model: "tiny", prompt: .text(text))
        request.maxOutputTokens = 2
        request.timeoutSeconds = seconds
        request.caller = caller
        let body = try RequestCoding.encode(request)
        try send { writer throws(WireError) in try writer.generate(RequestID(id), body: body.span.bytes) }
    }
}

/// The node's end of a control link: shakes hands and then keeps what it is told, in order.
private final class ControlPeer: FrameLinkDelegate {
    private let frames: AsyncStream<RunnerFrame>
    private let sink: AsyncStream<RunnerFrame>.Continuation
    /// Only the link's event loop touches it.
    private let isOpen: NIOLoopBoundBox<Bool>

    init(on eventLoop: any EventLoop) {
        isOpen = .makeBoxSendingValue(false, eventLoop: eventLoop)
        (frames, sink) = AsyncStream.makeStream(of: RunnerFrame.self)
    }

    /// What comes next; throws when the link is closed instead.
    func next() async throws -> RunnerFrame {
        for await frame in frames { return frame }
        throw CancellationError()
    }

    func link(_ link: FrameLink, received frame: InboundFrame) {
        let body = frame.body.readableBytesSpan
        do {
            if isOpen.value {
                sink.yield(try RunnerFrame.parse(frame.header, body: body))
            } else {
                guard case .welcome(let welcome) = try Handshake.parse(frame.header, body: body) else {
                    throw LinkClosure.failed(reason: "no welcome came back")
                }
                link.establish(.established(version: welcome.version))
                isOpen.value = true
            }
        } catch {
            link.close()
        }
    }

    func link(_ link: FrameLink, closed reason: LinkClosure) { sink.finish() }
}

/// A token per byte; none of them ends an answer.
private struct ByteTokenizer: Tokenizer, Sendable {
    var vocabularySize: Int { 256 }

    func tokens(of text: String, special: Bool) throws(GenerationError) -> [Token] { text.utf8.map { Token($0) } }
    func tokens(of text: String, addsSpecial: Bool, parsesSpecial: Bool) throws(GenerationError) -> [Token] {
        text.utf8.map { Token($0) }
    }
    func text(of token: Token) -> [UInt8] { bytes(of: token) }
    func bytes(of token: Token) -> [UInt8] { UInt8(exactly: token).map { [$0] } ?? [] }
    func endsGeneration(_ token: Token) -> Bool { false }
}

/// Takes prompts as they are, at its gate when there is one, and reads so many calls from every answer.
private final class ScriptedRenderer: PromptRenderer, Sendable {
    /// Has an element for every preparation that started.
    let starts: AsyncStream<Void>
    private let start: AsyncStream<Void>.Continuation
    /// Waited for by every preparation while `isGated`.
    let gate = DispatchSemaphore(value: 0)
    private let isGated: Bool
    private let callCount: Int
    private let begun = Mutex<[RequestID]>([])

    init(isGated: Bool = false, callCount: Int = 0) {
        self.isGated = isGated
        self.callCount = callCount
        (starts, start) = AsyncStream.makeStream(of: Void.self)
    }

    /// What was prepared, in order.
    var prepared: [RequestID] { begun.withLock { $0 } }

    func prepare(_ request: GenerationRequest) throws(GenerationError) -> PreparedPrompt {
        begun.withLock { $0.append(request.id) }
        start.yield()
        if isGated { gate.wait() }
        guard case .text(let text) = request.prompt else {
            throw .unsupported(feature: "A prompt that is no text", remedy: "send text")
        }
        let format = callCount == 0 ? nil : AnswerFormat(notation: "calls", parsesTools: true)
        return PreparedPrompt(tokens: text.utf8.map { Token($0) }, format: format)
    }

    func text(of request: GenerationRequest) throws(GenerationError) -> String { "" }

    func parse(_ answer: String, format: AnswerFormat, isPartial: Bool) -> ParsedAnswer {
        ParsedAnswer(toolCalls: (0..<callCount).map { ToolCall(id: "", name: "f", arguments: "\($0)") })
    }
}
