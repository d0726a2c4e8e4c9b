import HTTPTypes
import Hummingbird
import NIOCore

/// Lets the connection's event loop look at its sockets while a stream is written. Writing a piece only queues it for
/// the loop, and the loop runs what is queued until nothing is left: a stream that is made faster than it is sent would
/// keep it so busy that no other request on it is read and a client that left is not noticed.
struct StreamPace: RouterMiddleware {
    @concurrent
    func handle(
        _ request: Request, context: GatewayContext,
        next: @concurrent (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        let body = response.body
        guard body.contentLength == nil else { return response }
        let loop = context.channel.eventLoop
        response.body = ResponseBody { writer in try await body.write(Writer(writer: writer, loop: loop)) }
        return response
    }

    private struct Writer: ResponseBodyWriter {
        var writer: any ResponseBodyWriter
        let loop: any EventLoop
        private var pieces = 0

        init(writer: any ResponseBodyWriter, loop: any EventLoop) {
            self.writer = writer
            self.loop = loop
        }

        @concurrent
        mutating func write(_ buffer: ByteBuffer) async throws {
            try await writer.write(buffer)
            pieces += 1
            if pieces.isMultiple(of: Limits.piecesPerTurn) { try await loop.submit {}.get() }
        }

        @concurrent
        consuming func finish(_ trailers: HTTPFields?) async throws { try await writer.finish(trailers) }
    }
}
