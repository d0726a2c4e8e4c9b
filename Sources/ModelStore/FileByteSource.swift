package import GGUF
import SystemPackage

/// A file as a `ByteSource`: positioned reads, so a 40 GB model is never read whole.
package final class FileByteSource: ByteSource, Sendable {
    private let descriptor: FileDescriptor
    private let path: String
    /// Length of the file when it was opened. **Units:** bytes.
    package let byteCount: UInt64

    /// Opens a file for reading.
    ///
    /// **Throws:** `StoreError.unreadable` when it does not exist, is no regular file, or may not be read.
    package init(path: String) throws(StoreError) {
        self.path = path
        let facts = try FileFacts(path: path)
        do {
            descriptor = try FileDescriptor.open(FilePath(path), .readOnly)
        } catch {
            throw .unreadable(path: path, reason: "\(error)")
        }
        byteCount = facts.byteCount
    }

    deinit { try? descriptor.close() }

    /// Reads exactly `count` bytes at `offset`.
    ///
    /// **Throws:** `GGUFError.readFailed` when the file is shorter or the disk fails.
    package func read(at offset: UInt64, count: Int) throws(GGUFError) -> [UInt8] {
        do {
            return try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
                while filled < count {
                    let rest = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[filled...])
                    let length = try descriptor.read(fromAbsoluteOffset: Int64(offset) + Int64(filled), into: rest)
                    guard length > 0 else { break }
                    filled += length
                }
                guard filled == count else {
                    throw GGUFError.readFailed(
                        offset: offset, count: count, reason: "the file ends after \(filled) bytes")
                }
            }
        } catch let error as GGUFError {
            throw error
        } catch {
            throw .readFailed(offset: offset, count: count, reason: "\(error)")
        }
    }
}
