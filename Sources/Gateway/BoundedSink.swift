import Synchronization

/// Where the elements of a stream come in whose reader may fall behind by so many bytes and no further.
///
/// `AsyncStream` by itself keeps all that was not read, and cannot tell how much that is: with a reader that stopped it
/// grows for as long as somebody makes more.
package final class BoundedSink<Element: Sendable>: Sendable {
    private struct Entry {
        let element: Element
        let bytes: Int
    }

    private struct State {
        /// What came last, oldest first.
        var arrived: [Entry] = []
        /// What is read next, oldest last: taken from the end, nothing has to move up.
        var next: [Entry] = []
        /// All of that. **Units:** bytes.
        var bytes = 0
        var isOver = false
        var reader: CheckedContinuation<Element?, Never>?

        mutating func take() -> Element? {
            if next.isEmpty {
                swap(&next, &arrived)
                next.reverse()
            }
            guard let entry = next.popLast() else { return nil }
            bytes -= entry.bytes
            return entry.element
        }

        mutating func forget() { (arrived, next, bytes) = ([], [], 0) }
    }

    /// Most bytes that wait for the reader when one more element is taken.
    package let limit: Int
    private let left: @Sendable () -> Void
    private let state = Mutex(State())

    private init(limit: Int, left: @escaping @Sendable () -> Void) {
        self.limit = limit
        self.left = left
    }

    /// Makes a stream for one reader at a time. `left` is called once, from any thread, if nobody can read it any more
    /// before it was finished.
    package static func makeStream(
        limit: Int, left: @escaping @Sendable () -> Void = {}
    ) -> (stream: AsyncStream<Element>, sink: BoundedSink<Element>) {
        let sink = BoundedSink(limit: limit, left: left)
        let reader = Reader(sink: sink)
        return (AsyncStream(unfolding: { await reader.next() }, onCancel: { sink.leave() }), sink)
    }

    /// Stands for the stream, which alone holds it: when it goes, nobody can read any more.
    private final class Reader: Sendable {
        private let sink: BoundedSink<Element>

        init(sink: BoundedSink<Element>) { self.sink = sink }

        deinit { sink.leave() }

        func next() async -> Element? { await sink.next() }
    }

    // MARK: Writing

    /// Hands an element on that takes about so many bytes. False when it was not taken, because the stream is over or
    /// more than the limit waits already; one element alone may be of any size.
    package func yield(_ element: Element, bytes: Int) -> Bool {
        let (isTaken, reader) = state.withLock { state -> (Bool, CheckedContinuation<Element?, Never>?) in
            guard !state.isOver, state.bytes <= limit else { return (false, nil) }
            if let reader = state.reader {
                state.reader = nil
                return (true, reader)
            }
            state.arrived.append(Entry(element: element, bytes: bytes))
            state.bytes += bytes
            return (true, nil)
        }
        reader?.resume(returning: element)
        return isTaken
    }

    /// Ends the stream behind what waits and `last`, which is taken however much that is; without effect the second
    /// time.
    package func finish(with last: Element? = nil) {
        let reader = state.withLock { state -> CheckedContinuation<Element?, Never>? in
            guard !state.isOver else { return nil }
            state.isOver = true
            if let reader = state.reader {
                state.reader = nil
                return reader
            }
            if let last { state.arrived.append(Entry(element: last, bytes: 0)) }
            return nil
        }
        reader?.resume(returning: last)
    }

    /// Ends the stream without what waits, of which nothing is read any more, but with `last`.
    package func abandon(with last: Element? = nil) {
        state.withLock { $0.forget() }
        finish(with: last)
    }

    // MARK: Reading

    /// The next element, when there is one; nil behind the last.
    private func next() async -> Element? {
        await withCheckedContinuation { continuation in
            let (isKnown, element) = state.withLock { state -> (Bool, Element?) in
                let element = state.take()
                guard element == nil, !state.isOver else { return (true, element) }
                precondition(state.reader == nil, "two read one stream")
                state.reader = continuation
                return (false, nil)
            }
            if isKnown { continuation.resume(returning: element) }
        }
    }

    /// Takes note that nobody reads any more.
    private func leave() {
        let (wasOver, reader) = state.withLock { state -> (Bool, CheckedContinuation<Element?, Never>?) in
            let (wasOver, reader) = (state.isOver, state.reader)
            (state.isOver, state.reader) = (true, nil)
            state.forget()
            return (wasOver, reader)
        }
        reader?.resume(returning: nil)
        if !wasOver { left() }
    }
}
