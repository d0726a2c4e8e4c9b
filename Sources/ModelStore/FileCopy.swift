import GGUF
import SystemPackage

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Copies runs of bytes between files inside the kernel where it can: shared blocks on file systems that have them
/// (copy_file_range), else a kernel copy, else a bounded buffer.
enum FileCopy {
    /// Bytes moved per system call of the fallback.
    static let bufferByteCount = 1 << 20

    static func copy(_ segment: StageFilePlan.Segment, from source: FileDescriptor, to target: FileDescriptor) throws {
        var from = off_t(segment.sourceOffset)
        var to = off_t(segment.destinationOffset)
        var rest = Int(segment.byteCount)
        #if canImport(Glibc)
            while rest > 0 {
                let moved = copy_file_range(source.rawValue, &from, target.rawValue, &to, rest, 0)
                guard moved > 0 else { break }
                rest -= moved
            }
        #endif
        guard rest > 0 else { return }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: min(rest, bufferByteCount), alignment: 16)
        defer { buffer.deallocate() }
        while rest > 0 {
            let wanted = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(rest, buffer.count)])
            let length = try source.read(fromAbsoluteOffset: Int64(from), into: wanted)
            guard length > 0 else { throw Errno.ioError }
            try target.writeAll(
                toAbsoluteOffset: Int64(to), UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(wanted)[..<length]))
            from += off_t(length)
            to += off_t(length)
            rest -= length
        }
    }
}
