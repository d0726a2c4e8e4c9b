import CChecksum
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// One file of sequences on disk: a header of 96 bytes, and the payload.
///
/// **Units/encoding:** little-endian: magic (8 bytes), identity (32), key (32), u64 payload bytes, u32 CRC-32C of the
/// payload, 8 bytes 0, u32 CRC-32C of the header in front of it.
enum ArchiveFile {
    /// What a file holds.
    enum Kind: String {
        /// A stage's part of a sequence.
        case part = "SKEINSEQ"
        /// The entry's record that all stages have their parts; the payload is the tokens, four bytes each.
        case record = "SKEINREC"

        var ending: String { self == .part ? ".part" : ".record" }
    }

    /// Why a file was not read or written.
    enum Failure: Error, CustomStringConvertible {
        case system(call: String, code: Int32)
        case damaged(reason: String)
        case tooLarge(bytes: UInt64, limit: UInt64)

        var description: String {
            switch self {
            case .system(let call, let code): "\(call): \(String(cString: strerror(code)))"
            case .damaged(let reason): "the file is damaged or foreign: \(reason)"
            case .tooLarge(let bytes, let limit): "\(bytes) bytes are more than the limit of \(limit)"
            }
        }

        /// Whether the file itself is at fault.
        var isDamage: Bool { if case .damaged = self { true } else { false } }
    }

    static let headerBytes = 96

    /// Writes a file for this user alone under a temporary name, brings it to the disk, and gives it its name.
    static func store(
        _ kind: Kind, identity: ArchiveIdentity, key: SequenceKey, payload: [UInt8], to path: String
    ) throws(Failure) {
        var header = Array(kind.rawValue.utf8) + identity.digest + key.bytes
        header.append(little: UInt64(payload.count))
        header.append(little: checksum(payload[...]))
        header.append(little: UInt64(0))
        header.append(little: checksum(header[...]))
        let temporary = path + ".tmp"
        unlink(temporary)
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw .system(call: "open", code: errno) }
        do throws(Failure) {
            try put(header, file)
            try put(payload, file)
            guard fsync(file) == 0 else { throw .system(call: "fsync", code: errno) }
        } catch {
            close(file)
            unlink(temporary)
            throw error
        }
        close(file)
        guard rename(temporary, path) == 0 else {
            let code = errno
            unlink(temporary)
            throw .system(call: "rename", code: code)
        }
        sync(folderOf: path)
    }

    private static func put(_ bytes: [UInt8], _ file: Int32) throws(Failure) {
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                let end = min(buffer.count, offset + ArchiveLimits.chunkBytes)
                return write(file, UnsafeRawBufferPointer(rebasing: buffer[offset..<end]).baseAddress, end - offset)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .system(call: "write", code: errno) }
            offset += count
        }
    }

    /// A rename lasts when its folder does; a system that cannot say so is not asked twice.
    private static func sync(folderOf path: String) {
        let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        let directory = open(folder, O_RDONLY | O_CLOEXEC)
        guard directory >= 0 else { return }
        fsync(directory)
        close(directory)
    }

    /// Reads a file, and checks all of it.
    static func load(
        _ kind: Kind, identity: ArchiveIdentity, key: SequenceKey, limit: Int, from path: String
    ) throws(Failure) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { throw .system(call: "open", code: errno) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .system(call: "fstat", code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_size >= headerBytes else {
            throw .damaged(reason: "\(status.st_size) bytes are too few")
        }
        let header = try take(headerBytes, file)
        let size = Int(status.st_size) - headerBytes
        guard header.little32(at: 92) == checksum(header[..<92]) else { throw .damaged(reason: "header checksum") }
        guard Array(header[..<8]) == Array(kind.rawValue.utf8) else { throw .damaged(reason: "another kind") }
        guard Array(header[8..<40]) == identity.digest else {
            throw .damaged(reason: "another model, cut, cache type or engine")
        }
        guard Array(header[40..<72]) == key.bytes else { throw .damaged(reason: "another sequence") }
        guard header.little64(at: 72) == UInt64(size) else { throw .damaged(reason: "\(size) bytes of payload") }
        guard size <= limit else { throw .tooLarge(bytes: UInt64(size), limit: UInt64(limit)) }
        let payload = try take(size, file)
        guard header.little32(at: 80) == checksum(payload[...]) else { throw .damaged(reason: "payload checksum") }
        return payload
    }

    private static func take(_ count: Int, _ file: Int32) throws(Failure) -> [UInt8] {
        var failure: Failure?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = 0
            while filled < count {
                let rest = UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: buffer[filled...]))
                let got = read(file, rest.baseAddress, min(rest.count, ArchiveLimits.chunkBytes))
                if got < 0, errno == EINTR { continue }
                guard got > 0 else {
                    failure = got < 0 ? .system(call: "read", code: errno) : .damaged(reason: "it ends too soon")
                    return
                }
                filled += got
            }
        }
        if let failure { throw failure }
        return bytes
    }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.withUnsafeBytes { skein_crc32c(0, $0.baseAddress, $0.count) }
    }
}

extension [UInt8] {
    fileprivate mutating func append(little value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }

    fileprivate func little32(at offset: Int) -> UInt32 {
        (0..<4).reduce(UInt32(0)) { $0 | UInt32(self[offset + $1]) << UInt32(8 * $1) }
    }

    fileprivate func little64(at offset: Int) -> UInt64 {
        UInt64(little32(at: offset)) | UInt64(little32(at: offset + 4)) << 32
    }
}
