package import Discovery
package import Logging
import NIOCore
import NIOPosix

/// Discovery on all networks of this machine: tells of a node and finds others, until it is closed.
///
/// What is found was said by anybody, and is good for an address to dial and nothing else. Where multicasts cannot be
/// sent nothing is found, which is logged once.
///
/// **Isolation:** callable from anywhere; everything happens on one event loop, and `changed` is called there.
package struct LanDiscovery: Sendable {
    private let loop: any EventLoop
    private let board: LanBoard

    /// Begins; `changed` gets all nodes that are seen whenever that changes, this node included.
    package static func open(
        _ settings: LanSettings, logger: Logger, changed: @escaping @Sendable ([Sighting]) -> Void
    ) -> LanDiscovery {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let lan = LanDiscovery(
            loop: loop, board: LanBoard(settings, on: loop, logger: logger, changed: changed))
        loop.execute { [board = lan.board] in board.scan() }
        return lan
    }

    private init(loop: any EventLoop, board: LanBoard) {
        self.loop = loop
        self.board = board
    }

    /// Tells something else from now on; nil takes back what was told.
    package func tell(_ notice: ServiceNotice?) { loop.execute { [board] in board.tell(notice) } }

    /// Takes back what was told, and ends.
    package func close() async {
        let done = loop.flatSubmit { [board] in board.close() }
        try? await done.get()
    }

    /// Looks around for a while, or until what is seen is `enough`.
    package static func look(
        milliseconds: Int64, logger: Logger, until enough: @escaping @Sendable ([Sighting]) -> Bool = { _ in false }
    ) async -> [Sighting] {
        let (stream, sink) = AsyncStream.makeStream(of: [Sighting].self, bufferingPolicy: .bufferingNewest(1))
        let lan = open(LanSettings(seed: .random(in: .min ... .max)), logger: logger) { sink.yield($0) }
        let timer = lan.loop.scheduleTask(in: .milliseconds(milliseconds)) { sink.finish() }
        var seen: [Sighting] = []
        for await sightings in stream {
            seen = sightings
            if enough(seen) { break }
        }
        timer.cancel()
        await lan.close()
        return seen
    }
}
