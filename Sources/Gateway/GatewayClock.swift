import FoundationEssentials

/// The clocks of the gateway, so that tests know what they say.
package struct GatewayClock: Sendable {
    /// The wall clock. **Units:** nanoseconds since 1970.
    package let unixNanoseconds: @Sendable () -> Int64
    /// A clock that only goes forward. **Units:** nanoseconds since some origin.
    package let uptimeNanoseconds: @Sendable () -> Int64

    /// Puts two clocks together.
    package init(
        unixNanoseconds: @escaping @Sendable () -> Int64, uptimeNanoseconds: @escaping @Sendable () -> Int64
    ) {
        self.unixNanoseconds = unixNanoseconds
        self.uptimeNanoseconds = uptimeNanoseconds
    }

    /// The machine's clocks.
    package static var system: GatewayClock {
        let origin = ContinuousClock.now
        return GatewayClock(
            unixNanoseconds: { Int64(Date().timeIntervalSince1970 * 1_000_000) * 1000 },
            uptimeNanoseconds: {
                let (seconds, attoseconds) = (ContinuousClock.now - origin).components
                return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
            })
    }
}
