/// How long and how much a store keeps; what goes beyond is dropped, the oldest first.
package struct ResponseRetention: Hashable, Sendable {
    /// Longest time since a response was asked for. **Units:** seconds.
    package var ageSeconds: Int64 = 30 * 24 * 3600
    /// Most responses.
    package var count = 10_000
    /// Most bytes of responses.
    package var bytes = 1 << 30
    /// Largest file; a write beyond it fails as on a full disk. **Units:** bytes.
    package var fileBytes = 3 << 30

    /// The defaults above.
    package init() {}
}
