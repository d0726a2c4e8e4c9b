/// A small seeded generator (SplitMix64) for every random choice of the pure core and its tests.
///
/// The same seed gives the same sequence on every platform.
/// **Source:** Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
package struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Starts the sequence of `seed`.
    package init(seed: UInt64) { state = seed }

    /// The next 64 bits of the sequence.
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mix(state)
    }

    /// A uniform integer in `0 ..< bound`; the caller MUST pass `bound >= 1`.
    package mutating func below(_ bound: Int) -> Int {
        precondition(bound >= 1, "random bound \(bound) is not positive")
        return Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// The uniform draw in `[0, 1)` that belongs to position `position` of the stream `seed`.
    ///
    /// Counter-based: the draw depends on nothing but its two arguments, so batching, speculation, preemption and
    /// failover cannot change a seeded answer. **Units:** 53 bits of randomness.
    package static func uniform(seed: UInt64, position: UInt64) -> Double {
        let key = mix(seed &+ 0x9E37_79B9_7F4A_7C15)
        let bits = mix(key ^ (position &* 0xD1B5_4A32_D192_ED03 &+ 0x8CB9_2BA7_2F3D_8DD7))
        return Double(bits >> 11) * 0x1p-53
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
