/// Bounds of the event store.
package enum StoreLimits {
    /// Bytes of a page of the file.
    static let pageBytes = 4096
    /// Largest file; a write beyond it fails as on a full disk. **Units:** bytes.
    package static let fileBytes = 1 << 30
    /// The write-ahead log is cut back to this after a checkpoint. **Units:** bytes.
    static let logBytes = 16 << 20
    /// Most files kept aside for one reason; beyond that the last one is replaced.
    static let asideFiles = 5
    /// How long a start waits for another process that has the file. **Units:** seconds.
    static let busySeconds = 2.0
    /// Largest entry read back. **Units:** bytes.
    static let entryBytes = 32 << 20
    /// Largest part read back: a snapshot, or what is kept of a branch. **Units:** bytes.
    static let partBytes = 192 << 20
}
