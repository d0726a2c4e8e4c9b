import Foundation
import GGUF
import ModelStore
import Testing
import Vocabulary

/// A folder of one test's own, gone when the test is over.
final class Scratch {
    let folder: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appending(path: "skein-store-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        folder = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func path(_ name: String) -> String { "\(folder)/\(name)" }

    func write(_ bytes: [UInt8], to name: String) throws -> String {
        try Data(bytes).write(to: URL(filePath: path(name)))
        return path(name)
    }

    /// Names in a folder below this one, sorted; none when it is not there.
    func names(in name: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path(name))) ?? []).sorted()
    }
}

/// Files the tests start from.
enum Models {
    /// The model that is built into the program.
    static var builtin: String {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Models/skein-tiny-q8_0.gguf").path
    }

    static func bytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path))) }

    /// A small model whose output matrix is not shared with its embedding, so stages have large holes.
    static func synthetic(in scratch: Scratch) throws -> String {
        var shape = ModelShape(.qwen3)
        shape.width = 256
        shape.headCount = 4
        shape.headCountKV = 2
        shape.headSize = 64
        shape.vocabularySize = 4096
        shape.hasOutput = true
        let path = scratch.path("synthetic.gguf")
        try ModelSynthesis.write(shape, seed: 1, to: path)
        return path
    }
}

/// What the file system says of a file.
struct Facts: Equatable {
    let number: UInt64
    let byteCount: UInt64
    let allocatedByteCount: UInt64
    let accessed: Int
    let modified: Int

    init(_ path: String) throws {
        var status = stat()
        guard stat(path, &status) == 0 else { throw CocoaError(.fileNoSuchFile) }
        number = UInt64(status.st_ino)
        byteCount = UInt64(status.st_size)
        allocatedByteCount = UInt64(status.st_blocks) * 512
        #if canImport(Glibc)
            (accessed, modified) = (status.st_atim.tv_sec, status.st_mtim.tv_sec)
        #else
            (accessed, modified) = (status.st_atimespec.tv_sec, status.st_mtimespec.tv_sec)
        #endif
    }

    /// Sets both times of a file. **Units:** seconds since 1970.
    static func setTimes(of path: String, to seconds: Int) throws {
        let moment = timespec(tv_sec: seconds, tv_nsec: 0)
        guard utimensat(AT_FDCWD, path, [moment, moment], 0) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }
}
