import Synchronization
import Testing
import Vocabulary

@testable import Gateway

/// How often a reader left.
private final class Leavings: Sendable {
    private let number = Atomic<Int>(0)

    var count: Int { number.load(ordering: .relaxed) }

    func note() { number.add(1, ordering: .relaxed) }
}

extension AsyncStream where Element: Sendable {
    /// All that comes until the end.
    fileprivate var rest: [Element] {
        get async {
            var rest: [Element] = []
            for await element in self { rest.append(element) }
            return rest
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct `Bounded sink` {
    @Test func `a reader that keeps up gets everything, however much that is in all`() async throws {
        let (stream, sink) = BoundedSink<Int>.makeStream(limit: 10)
        for number in 0..<1000 {
            #expect(sink.yield(number, bytes: 7))
            #expect(try await stream.next() == number)
        }
        sink.finish(with: 1000)
        #expect(try await stream.next() == 1000)
        #expect(await stream.rest.isEmpty)
    }

    @Test func `a reader that waits gets what comes, or the end`() async throws {
        let (stream, sink) = BoundedSink<Int>.makeStream(limit: 10)
        async let first = stream.next()
        #expect(sink.yield(1, bytes: 1))
        let number = try await first
        #expect(number == 1)
        async let rest = stream.rest
        sink.finish()
        let isEmpty = await rest.isEmpty
        #expect(isEmpty)
        #expect(!sink.yield(2, bytes: 1))
    }

    @Test func `a reader that never comes lets the limit wait and one element more`() {
        let (stream, sink) = BoundedSink<Int>.makeStream(limit: 10)
        withExtendedLifetime(stream) {
            let taken = (0..<100).prefix { sink.yield($0, bytes: 4) }
            #expect(taken.count == 3)
        }
    }

    @Test func `one element may be larger than the limit, and the end is always taken`() async {
        let (stream, sink) = BoundedSink<Int>.makeStream(limit: 10)
        #expect(sink.yield(1, bytes: 1_000_000))
        #expect(!sink.yield(2, bytes: 0))
        sink.finish(with: 3)
        sink.finish(with: 4)
        #expect(await stream.rest == [1, 3])
    }

    @Test func `a slow reader makes room, and finds what waits in its order`() async throws {
        let (stream, sink) = BoundedSink<Int>.makeStream(limit: 10)
        var written = 0
        var read = 0
        while written < 1000 {
            while sink.yield(written, bytes: 4) { written += 1 }
            #expect(try await stream.next() == read)
            read += 1
        }
        #expect(written == read + 2)
        sink.finish()
        #expect(await stream.rest == Array(read..<written))
    }

    @Test func `what is abandoned is freed at once, and the reader gets the end alone`() async {
        final class Piece: Sendable {}
        let (stream, sink) = BoundedSink<Piece>.makeStream(limit: 10)
        weak var kept: Piece?
        do {
            let piece = Piece()
            kept = piece
            #expect(sink.yield(piece, bytes: 1))
        }
        #expect(kept != nil)
        let last = Piece()
        sink.abandon(with: last)
        #expect(kept == nil)
        let rest = await stream.rest
        #expect(rest.count == 1 && rest.first === last)
    }

    @Test func `a stream that nobody holds any more has lost its reader, once`() {
        let leavings = Leavings()
        let sink = BoundedSink<Int>.makeStream(limit: 10) { leavings.note() }.sink
        #expect(leavings.count == 1)
        #expect(!sink.yield(1, bytes: 1))
        sink.finish()
        #expect(leavings.count == 1)
    }

    @Test func `a reader whose task is cancelled has left`() async {
        let leavings = Leavings()
        let (stream, sink) = BoundedSink<Int>.makeStream(limit: 10) { leavings.note() }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in stream {} }
            group.cancelAll()
        }
        #expect(leavings.count == 1)
        #expect(!sink.yield(1, bytes: 1))
    }

    @Test func `nobody leaves a stream that is over`() async throws {
        let leavings = Leavings()
        do {
            let (stream, sink) = BoundedSink<Int>.makeStream(limit: 10) { leavings.note() }
            #expect(sink.yield(1, bytes: 1))
            sink.finish(with: 2)
            #expect(try await stream.next() == 1)
        }
        #expect(leavings.count == 0)
    }
}

@Suite(.timeLimit(.minutes(1))) struct `Unread answers` {
    /// A token with as many alternatives as a client may ask for.
    private static let rich: GenerationEvent = {
        let candidate = TokenLogprob.Candidate(token: 1, bytes: [0x61], logprob: -1)
        let logprob = TokenLogprob(chosen: candidate, top: Array(repeating: candidate, count: 20))
        return .output(OutputDelta(text: "a", logprobs: [logprob]))
    }()

    @Test func `one that nobody reads ends with one error, and nothing of it is kept`() async {
        let (events, sink) = BoundedSink<GenerationEvent>.answer {}
        let told = (0..<100_000).prefix { _ in sink.tell(Self.rich) }.count
        let bytes = Self.rich.heldBytes
        #expect((told - 1) * bytes <= Gateway.Limits.unreadBytes && told * bytes > Gateway.Limits.unreadBytes)
        #expect(await events.rest == [.failed(.clientTooSlow(limit: Gateway.Limits.unreadBytes))])
    }

    @Test func `a client that pauses while a fast model makes two thousand pieces misses none`() async {
        let (events, sink) = BoundedSink<GenerationEvent>.answer {}
        for _ in 0..<2000 { #expect(sink.tell(Self.rich)) }
        sink.finish(with: .end)
        #expect(await events.rest == Array(repeating: Self.rich, count: 2000) + [.end])
    }

    @Test func `what an event takes grows with what it carries`() {
        let bare = GenerationEvent.queued(position: 1, predictedWaitSeconds: nil).heldBytes
        #expect(bare == MemoryLayout<GenerationEvent>.stride)
        #expect(GenerationEvent.text(String(repeating: "a", count: 1000)).heldBytes == bare + 1000)
        #expect(Self.rich.heldBytes > bare + 20 * MemoryLayout<TokenLogprob.Candidate>.stride)
    }
}
