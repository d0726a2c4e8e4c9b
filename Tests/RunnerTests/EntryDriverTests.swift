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
            #expect(renderer.preparedCount == 2)
        }
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

    @Test func `a grammar that is admitted travels`() {
        #expect(Serving.Limits.grammarBytes == Wire.Limits.grammarBytes)
    }
}

/// An entry stage that is alone, and the node that speaks with it.
private struct EntryRig {
    let link: FrameLink
    let node: ControlPeer

    static func with(_ renderer: ScriptedRenderer, _ body: (EntryRig) async throws -> Void) async throws {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let identity = try RunnerIdentity(Configurations.stage(0, of: 1), width: 2)
        let layers = LayerRange(first: 0, end: 8)
        let shape = StageShape(layers: layers, layerCount: 8, width: 2, cellCount: 64, laneCount: 4, rowLimit: 16)
        let driver = EntryDriver(
            identity: identity, settings: EngineSettings(shapes: [shape], window: 64, seed: 1),
            tools: EntryTools(
                tokenizer: ByteTokenizer(), renderer: renderer, window: 64, isEncoder: false, pausableLayers: 0),
            room: ComputeRoom(layers: layers, diary: EngineDiary()), eventLoop: eventLoop, lost: { _ in })
        let listener = try await LinkEndpoint(on: eventLoop).listen(at: .tcp(host: "127.0.0.1", port: 0)) { driver }
        let address = LinkAddress.tcp(host: "127.0.0.1", port: try #require(listener.localAddress?.port))
        let node = ControlPeer(on: eventLoop)
        let link = try await LinkEndpoint(on: eventLoop).connect(to: address, delegate: node)
        let entry = EntryRig(link: link, node: node)
        var hello = identity.hello(role: .control, to: 0)
        hello.sender = nil
        let offer = hello
        try entry.send { writer throws(WireError) in try writer.hello(offer) }
        try await body(entry)
        try await link.channel.close().get()
        try await listener.close().get()
    }

    /// Sends a frame.
    func send(_ fill: (inout FrameWriter) throws(WireError) -> Void) throws {
        var writer = FrameWriter(version: Handshake.versions.upperBound)
        try fill(&writer)
        link.send(&writer)
    }

    /// Sends a request for a few tokens.
    func generate(_ id: UInt64, _ text: String) throws {
        var request = GenerationRequest(id: RequestID(id), model: "tiny", prompt: .text(text))
        request.maxOutputTokens = 2
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
    private let prepared = Mutex(0)

    init(isGated: Bool = false, callCount: Int = 0) {
        self.isGated = isGated
        self.callCount = callCount
        (starts, start) = AsyncStream.makeStream(of: Void.self)
    }

    var preparedCount: Int { prepared.withLock { $0 } }

    func prepare(_ request: GenerationRequest) throws(GenerationError) -> PreparedPrompt {
        prepared.withLock { $0 += 1 }
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
