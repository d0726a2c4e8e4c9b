import Synchronization

/// How far a stream of bytes has come.
final class Cursor: Sendable {
    private let place: Atomic<UInt64>

    init(_ start: UInt64) { place = Atomic(start) }

    /// The place before the step.
    func advance(by count: UInt64) -> UInt64 { place.add(count, ordering: .relaxed).oldValue }

    var value: UInt64 { place.load(ordering: .relaxed) }
}
