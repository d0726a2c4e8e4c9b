/// Random access to the bytes of a model file, so that a file of 40 GB is never read whole.
///
/// A conformance over a real file lives outside this module. `read` MUST return exactly `count` bytes or throw; the
/// reader checks it anyway and refuses a short answer.
package protocol ByteSource {
    /// Number of bytes of the file. **Units:** bytes.
    var byteCount: UInt64 { get }

    /// The `count` bytes that start at `offset`.
    ///
    /// **Throws:** `GGUFError.readFailed` when the bytes cannot be had.
    func read(at offset: UInt64, count: Int) throws(GGUFError) -> [UInt8]
}

/// A file held in memory, for tests and for headers built by this module.
package struct ByteArraySource: ByteSource, Sendable {
    /// The file's bytes.
    package let bytes: [UInt8]

    /// Wraps the bytes of a file.
    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Number of bytes of the file. **Units:** bytes.
    package var byteCount: UInt64 { UInt64(bytes.count) }

    /// The `count` bytes that start at `offset`.
    ///
    /// **Throws:** `GGUFError.readFailed` when the range is not inside the file.
    package func read(at offset: UInt64, count: Int) throws(GGUFError) -> [UInt8] {
        guard count >= 0, offset <= byteCount, UInt64(count) <= byteCount - offset else {
            throw .readFailed(offset: offset, count: count, reason: "the file has \(byteCount) bytes")
        }
        let start = Int(offset)
        return Array(bytes[start..<start + count])
    }
}
