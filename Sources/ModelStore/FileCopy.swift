import CFileCopy
import GGUF
import SystemPackage

/// Copies runs of bytes between files inside the kernel where it can: shared blocks on file systems that have them
/// (copy_file_range), else a kernel copy, else a bounded buffer.
enum FileCopy {
    /// Bytes moved per system call of the fallback.
    static let bufferByteCount = 1 << 20

    static func copy(_ segment: StageFilePlan.Segment, from source: FileDescriptor, to target: FileDescriptor) throws {
        var from = Int64(segment.sourceOffset)
        var to = Int64(segment.destinationOffset)
        var rest = Int(segment.byteCount)
        while rest > 0 {
            let moved = file_copy_range(source.rawValue, from, target.rawValue, to, rest)
            guard moved > 0 else { break }
            from += Int64(moved)
            to += Int64(moved)
            rest -= moved
        }
        guard rest > 0 else { return }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: min(rest, bufferByteCount), alignment: 16)
        defer { buffer.deallocate() }
        while rest > 0 {
            let wanted = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(rest, buffer.count)])
            let length = try source.read(fromAbsoluteOffset: from, into: wanted)
            guard length > 0 else { throw Errno.ioError }
            try target.writeAll(
                toAbsoluteOffset: to, UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(wanted)[..<length]))
            from += Int64(length)
            to += Int64(length)
            rest -= length
        }
    }
}
