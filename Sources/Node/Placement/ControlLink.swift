import FoundationEssentials
import Gateway
import Identity
import NIOCore
import Runner
import Transport
import Vocabulary
import Wire

/// The node's end of the control connection to a placement's entry runner: requests go out, their events come back.
///
/// **Isolation:** the link's event loop is the actor's executor.
actor ControlLink {
    /// How long the handshake may take. **Units:** seconds.
    private static let openSeconds: Int64 = 10
    /// How long a report may take. **Units:** seconds.
    private static let reportSeconds: Int64 = 2

    nonisolated let eventLoop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { eventLoop.executor.asUnownedSerialExecutor() }

    private let hello: Hello
    private var link: FrameLink?
    private var isOpen = false
    private var opening: CheckedContinuation<Void, any Error>?
    private var streams: [RequestID: BoundedSink<GenerationEvent>] = [:]
    private var idleWaiters: [CheckedContinuation<Void, Never>] = []
    private var reports: [(id: UInt64, waiter: CheckedContinuation<EntryReport?, Never>)] = []
    private var reportCount: UInt64 = 0
    private var writer = FrameWriter(version: Handshake.versions.upperBound)
    private let lost: @Sendable (LinkClosure) -> Void

    /// `lost` is called once when an open link closes; who made the link then ends its streams by `fail`.
    init(
        hello: Hello, eventLoop: any EventLoop, lost: @escaping @Sendable (LinkClosure) -> Void = { _ in }
    ) {
        self.hello = hello
        self.eventLoop = eventLoop
        self.lost = lost
    }

    /// Connects and shakes hands.
    ///
    /// **Throws:** `LinkClosure` when the runner cannot be reached or refuses.
    func open(_ target: LinkTarget, through door: LinkDoor? = nil) async throws {
        let options = try LinkEndpoint.Options(
            to: target, secure: door.map { $0.dial(_:named:) })
        let link = try await LinkEndpoint(on: eventLoop, options: options).connect(to: target.address, delegate: self)
        self.link = link
        try writer.hello(hello)
        let deadline = eventLoop.scheduleTask(in: .seconds(Self.openSeconds)) {
            self.assumeIsolated { $0.giveUpOpening() }
        }
        defer { deadline.cancel() }
        try await withCheckedThrowingContinuation { continuation in
            opening = continuation
            link.send(&writer)
        }
    }

    private func giveUpOpening() {
        guard let waiting = opening else { return }
        opening = nil
        waiting.resume(
            throwing: LinkClosure.failed(reason: "the runner did not answer within \(Self.openSeconds) s"))
        link?.close()
    }

    /// Starts a request. The stream ends after its terminal event; the runner is not held up by who reads it slowly, so
    /// what waits is bounded, and whoever lets more wait loses the request.
    func generate(_ request: GenerationRequest) -> AsyncStream<GenerationEvent> {
        let id = request.id
        let (events, sink) = BoundedSink<GenerationEvent>.answer { [weak self] in self?.cancelEarly(id) }
        guard isOpen, let link else {
            sink.finish(with: .failed(.stageLost(stage: 0, reason: "the entry stage is not connected")))
            return events
        }
        do {
            let body = try RequestCoding.encode(request)
            try writer.generate(id, body: body.span.bytes)
            link.send(&writer)
            streams[id] = sink
        } catch {
            sink.finish(with: .failed(.engineFailed(reason: "the request could not be sent: \(error)")))
        }
        return events
    }

    /// Runs a request of which only its end matters; nil when its stream ended without one.
    func end(of request: GenerationRequest) async -> GenerationEvent? {
        for await event in generate(request) where event.isTerminal { return event }
        return nil
    }

    /// The entry's own report; nil when the link is gone.
    func report() async -> EntryReport? {
        guard isOpen, let link, reports.count < 64, (try? writer.reportRequest()) != nil else { return nil }
        link.send(&writer)
        reportCount += 1
        let id = reportCount
        let deadline = eventLoop.scheduleTask(in: .seconds(Self.reportSeconds)) {
            self.assumeIsolated { $0.giveUpReport(id) }
        }
        defer { deadline.cancel() }
        return await withCheckedContinuation { reports.append((id, $0)) }
    }

    private func giveUpReport(_ id: UInt64) {
        guard let index = reports.firstIndex(where: { $0.id == id }) else { return }
        reports.remove(at: index).waiter.resume(returning: nil)
    }

    /// Requests under way.
    var load: Int { streams.count }

    /// Whether requests can be sent.
    var isConnected: Bool { isOpen }

    /// Waits until no request is under way.
    func whenIdle() async {
        guard !streams.isEmpty else { return }
        await withCheckedContinuation { idleWaiters.append($0) }
    }

    private func reportIdle() {
        guard streams.isEmpty else { return }
        for waiter in idleWaiters { waiter.resume() }
        idleWaiters = []
    }

    /// Ends every open request with the same error and closes the link.
    func fail(_ error: GenerationError) {
        isOpen = false
        for id in streams.keys.sorted() { end(id, .failed(error)) }
        for report in reports { report.waiter.resume(returning: nil) }
        reports = []
        reportIdle()
        link?.close()
    }

    /// Ends a request from any thread, because its client left; without effect when it has ended.
    nonisolated func cancelEarly(_ id: RequestID) {
        eventLoop.execute { self.assumeIsolated { $0.cancel(id) } }
    }

    private func cancel(_ id: RequestID) {
        guard streams[id] != nil else { return }
        end(id, .failed(.cancelled))
        guard isOpen, let link else { return }
        guard (try? writer.cancelRequest(id)) != nil else { return }
        link.send(&writer)
    }

    private func end(_ id: RequestID, _ event: GenerationEvent) {
        guard let sink = streams.removeValue(forKey: id) else { return }
        sink.finish(with: event)
        reportIdle()
    }

    /// Passes a piece of an answer on, or ends a request whose reader is too far behind; that stream has its end then.
    private func tell(_ id: RequestID, _ event: GenerationEvent) {
        if streams[id]?.tell(event) == false { cancel(id) }
    }

    private func receive(_ frame: InboundFrame, _ link: FrameLink) {
        do {
            guard isOpen else { return try finishHandshake(frame, link) }
            switch try RunnerFrame.parse(frame.header, body: frame.body.readableBytesSpan) {
            case .event(let id, _, let event):
                if event.isTerminal { end(id, event) } else { tell(id, event) }
            case .report(let body):
                let report = try? JSONDecoder().decode(EntryReport.self, from: Data(body))
                if !reports.isEmpty { reports.removeFirst().waiter.resume(returning: report) }
            case .generate, .cancelRequest, .reportRequest: break
            }
        } catch {
            opening?.resume(throwing: error)
            opening = nil
            link.close()
        }
    }

    private func finishHandshake(_ frame: InboundFrame, _ link: FrameLink) throws {
        switch try Handshake.parse(frame.header, body: frame.body.readableBytesSpan) {
        case .welcome(let welcome):
            try Handshake.check(welcome, against: hello)
            link.establish(.established(version: welcome.version, frameByteLimit: hello.frameByteLimit))
            isOpen = true
            opening?.resume()
            opening = nil
        case .refuse(let refusal): throw LinkClosure.failed(reason: "\(refusal)")
        case .hello: throw WireError.unexpectedKind(.hello, expected: "welcome or refuse")
        }
    }

    private func closed(_ reason: LinkClosure) {
        opening?.resume(throwing: reason)
        opening = nil
        // Who made the link may hear of the runner's exit and know more than "closed"; it ends the streams.
        if isOpen { lost(reason) }
        isOpen = false
        for report in reports { report.waiter.resume(returning: nil) }
        reports = []
    }
}

extension ControlLink: FrameLinkDelegate {
    nonisolated func link(_ link: FrameLink, received frame: InboundFrame) {
        assumeIsolated { $0.receive(frame, link) }
    }

    nonisolated func link(_ link: FrameLink, closed reason: LinkClosure) {
        assumeIsolated { $0.closed(reason) }
    }
}
