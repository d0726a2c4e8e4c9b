import NIOCore
import NIOHTTP1

/// Sends requests on a connection, one after the other, and notes when the pieces of each answer arrive.
///
/// **Isolation:** the channel's event loop.
final class LoadHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let authority: String
    private var context: ChannelHandlerContext?
    private var request: LoadRequest?
    private var promise: EventLoopPromise<LoadRecord>?
    private var counter: StreamCounter?
    private var record = LoadRecord()
    private var lastRead = NIODeadline.uptimeNanoseconds(0)
    private var timer: Scheduled<Void>?

    init(authority: String) { self.authority = authority }

    /// Sends a request; `promise` gets its record, whatever happens.
    func start(_ request: LoadRequest, _ promise: EventLoopPromise<LoadRecord>) {
        guard let context, context.channel.isActive, self.promise == nil else {
            return promise.succeed(LoadRecord())
        }
        self.request = request
        self.promise = promise
        counter = request.shape.map(StreamCounter.init)
        record = LoadRecord()
        lastRead = .now()
        record.sent = lastRead.uptimeNanoseconds
        let isPost = request.body.readableBytes > 0
        var headers = HTTPHeaders([("Host", authority)])
        if isPost {
            headers.add(name: "Content-Type", value: "application/json")
            headers.add(name: "Content-Length", value: "\(request.body.readableBytes)")
        }
        for (name, value) in request.headers { headers.add(name: name, value: value) }
        let head = HTTPRequestHead(
            version: .http1_1, method: isPost ? .POST : .GET, uri: request.path, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if isPost { context.write(wrapOutboundOut(.body(.byteBuffer(request.body))), promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        listen(context, for: BenchLimits.silence)
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        finish(.cut)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard promise != nil else { return }
        lastRead = .now()
        switch unwrapInboundIn(data) {
        case .head(let head): record.status = Int(head.status.code)
        case .body(let bytes): take(bytes, context)
        case .end: finish(.complete)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(.cut)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func take(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        if record.opening.count < BenchLimits.openingBytes {
            record.opening += bytes.readableBytesView.prefix(BenchLimits.openingBytes - record.opening.count)
        }
        guard let count = counter?.feed(bytes.readableBytesView) else { return }
        if counter?.isTooLong ?? false {
            finish(.tooLong)
            return context.close(promise: nil)
        }
        for _ in 0..<count { record.arrivals.append(lastRead.uptimeNanoseconds) }
        if let milestone = request?.milestone, record.arrivals.count >= milestone.pieces {
            request?.milestone = nil
            milestone.reached()
        }
    }

    private func finish(_ end: LoadRecord.End) {
        guard let promise else { return }
        timer?.cancel()
        timer = nil
        self.promise = nil
        record.end = end
        record.ended = NIODeadline.now().uptimeNanoseconds
        record.outputTokens = counter?.outputTokens
        request?.milestone?.reached()
        request = nil
        promise.succeed(record)
    }

    private func listen(_ context: ChannelHandlerContext, for time: TimeAmount) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: time) {
            let silence = NIODeadline.now() - self.lastRead
            guard silence >= BenchLimits.silence else {
                return self.listen(context, for: BenchLimits.silence - silence)
            }
            self.finish(.silent)
            context.close(promise: nil)
        }
    }
}
