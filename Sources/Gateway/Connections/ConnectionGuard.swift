import Dialects
import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import Synchronization

/// How many connections are open.
final class ConnectionCount: Sendable {
    private let open = Atomic<Int>(0)
    let limit: Int

    init(limit: Int) { self.limit = limit }

    /// Counts a connection; false when it is one too many.
    func enter() -> Bool { open.add(1, ordering: .relaxed).newValue <= limit }

    func leave() { open.subtract(1, ordering: .relaxed) }
}

/// A body that did not arrive in time; the route that waits for it gets it as its error.
struct BodyDeadlinePassed: Error {
    let seconds: Int
}

/// Keeps a connection within its bounds: one too many is refused with 503, a head or body that does not arrive in time
/// ends it, and a head that is too large or no HTTP is answered in words.
///
/// **Isolation:** the channel's event loop.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let limits: ConnectionLimits
    private let count: ConnectionCount
    private let refused: @Sendable (ErrorReport) -> Void
    private var isCounted = false
    private var isAdmitted = true
    /// Requests whose answer is not complete.
    private var openRequests = 0
    private var timer: Scheduled<Void>?
    /// What arrived of a file since its time began; nil for a body that has to arrive as a whole.
    private var uploadedBytes: Int?

    /// `refused` is told of every request that is answered here.
    init(limits: ConnectionLimits, count: ConnectionCount, refused: @escaping @Sendable (ErrorReport) -> Void) {
        self.limits = limits
        self.count = count
        self.refused = refused
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { open(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        open(context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { leave() }

    private func open(_ context: ChannelHandlerContext) {
        guard !isCounted else { return }
        isCounted = true
        isAdmitted = count.enter()
        close(context, after: limits.head)
    }

    private func leave() {
        timer?.cancel()
        timer = nil
        guard isCounted else { return }
        isCounted = false
        count.leave()
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        switch part {
        case .head(let head):
            guard isAdmitted else { return refuse(.tooManyConnections(limit: limits.connections), head, context) }
            openRequests += 1
            // A file takes as long as it takes, as long as it keeps coming.
            uploadedBytes = Self.isUpload(head) ? 0 : nil
            expectBody(context)
        case .body(let bytes):
            guard isAdmitted else { return }
            uploadedBytes = uploadedBytes.map { $0 + bytes.readableBytes }
        case .end:
            guard isAdmitted else { return }
            timer?.cancel()
            timer = nil
            // A refusal does not wait for the body it refuses: the connection is idle from now on, and nothing else
            // would ever end it.
            if openRequests == 0 { close(context, after: limits.idle) }
        }
        context.fireChannelRead(data)
    }

    private static func isUpload(_ head: HTTPRequest) -> Bool {
        head.method == .post && RoutePath(target: head.path ?? "").components.starts(with: ["api", "blobs"])
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) {
            openRequests -= 1
            if openRequests == 0 { close(context, after: limits.idle) }
        }
        context.write(data, promise: promise)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError, openRequests == 0 else {
            context.fireErrorCaught(error)
            return
        }
        let refusal: RequestRefusal =
            error == .headerOverflow
            ? .headTooLarge(bytes: limits.headerBytes, fields: limits.headerFields) : .malformedHead
        refuse(refusal, nil, context)
    }

    // MARK: Time

    private func close(_ context: ChannelHandlerContext, after time: TimeAmount) {
        timer?.cancel()
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: time) { context.close(promise: nil) }
    }

    /// The route that reads the body hears that it is late and can answer; the connection ends soon after.
    private func expectBody(_ context: ChannelHandlerContext) {
        timer?.cancel()
        let seconds = Int(limits.body.nanoseconds / 1_000_000_000)
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: limits.body) { [limits] in
            if let arrived = self.uploadedBytes, arrived >= limits.uploadBytes {
                self.uploadedBytes = 0
                self.expectBody(context)
                return
            }
            context.fireErrorCaught(BodyDeadlinePassed(seconds: seconds))
            self.close(context, after: limits.head)
        }
    }

    // MARK: Answers

    /// Answers here, because no route will, and ends the connection.
    private func refuse(_ refusal: RequestRefusal, _ head: HTTPRequest?, _ context: ChannelHandlerContext) {
        isAdmitted = false
        timer?.cancel()
        let report = ErrorReport(refusal)
        refused(report)
        let dialect = ErrorDialect(path: RoutePath(target: head?.path ?? ""))
        let body = dialect.body(report, requestID: "")
        var fields: HTTPFields = [
            .contentType: "application/json", .contentLength: String(body.count), .connection: "close",
        ]
        if let seconds = report.retryAfterSeconds { fields[.retryAfter] = String(seconds) }
        let status = HTTPResponse.Status(code: report.status)
        context.write(wrapOutboundOut(.head(HTTPResponse(status: status, headerFields: fields))), promise: nil)
        context.write(wrapOutboundOut(.body(ByteBuffer(bytes: body))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        // What the client still sends is read and dropped for a moment: to close at once would reset the connection
        // and take the answer away from it.
        context.close(mode: .output, promise: nil)
        close(context, after: .seconds(1))
    }
}
