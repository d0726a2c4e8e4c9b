import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Calls back in an event loop's next turn, when the loop has looked at its sockets.
///
/// A task that a loop is given by one of its tasks runs before that, so tasks that each give the next one keep the loop
/// from its sockets for ever. A byte in a pipe is an event beside those of the sockets, and wakes nobody: the loop
/// writes and reads it itself.
final class LoopTurn: Sendable {
    private let writeEnd: CInt

    private init(writeEnd: CInt) { self.writeEnd = writeEnd }

    deinit { close(writeEnd) }

    /// Makes the pipe; `callBack` is called on the loop after each `request`.
    ///
    /// **Throws:** `IOError` when the process has no descriptors left.
    static func open(on eventLoop: any EventLoop, callBack: @escaping @Sendable () -> Void) async throws -> LoopTurn {
        var ends: [CInt] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { throw IOError(errnoCode: errno, reason: "pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let turn = LoopTurn(writeEnd: ends[1])
        do {
            _ = try await NIOPipeBootstrap(group: eventLoop)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(Reader(callBack: callBack))
                    }
                }
                .takingOwnershipOfDescriptor(input: ends[0]).get()
        } catch {
            close(ends[0])
            throw error
        }
        return turn
    }

    /// Asks for the next turn. Several requests may be called back together.
    func request() {
        var byte: UInt8 = 0
        // One byte at a time always fits.
        _ = unsafe write(writeEnd, &byte, 1)
    }

    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let callBack: @Sendable () -> Void

        init(callBack: @escaping @Sendable () -> Void) { self.callBack = callBack }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { callBack() }
    }
}
