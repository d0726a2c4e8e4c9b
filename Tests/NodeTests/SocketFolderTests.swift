import Foundation
import Testing

@testable import Node

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@Suite struct `The folder of sockets` {
    /// A folder as a process makes it, with its lock, held or not.
    private static func left(isHeld: Bool) throws -> (folder: String, lock: Int32) {
        var template = Array("/tmp/skein-XXXXXX".utf8CString)
        let folder = String(cString: try #require(mkdtemp(&template)))
        let lock = open("\(folder)/lock", O_CREAT | O_WRONLY, 0o600)
        if isHeld { #expect(flock(lock, LOCK_EX | LOCK_NB) == 0) } else { close(lock) }
        try Data().write(to: URL(filePath: "\(folder)/0.sock"))
        return (folder, lock)
    }

    @Test func `goes with its sockets, and takes along what killed processes left`() async throws {
        let dead = try Self.left(isHeld: false)
        let alive = try Self.left(isHeld: true)
        let folder = try await SocketFolder.with { folder in
            try Data().write(to: URL(filePath: "\(folder)/1.sock"))
            #expect(!FileManager.default.fileExists(atPath: dead.folder))
            #expect(FileManager.default.fileExists(atPath: "\(alive.folder)/0.sock"))
            try await SocketFolder.with { inner in
                #expect(inner != folder)
                #expect(FileManager.default.fileExists(atPath: "\(folder)/1.sock"))
            }
            return folder
        }
        #expect(!FileManager.default.fileExists(atPath: folder))
        close(alive.lock)
        try await SocketFolder.with { _ in #expect(!FileManager.default.fileExists(atPath: alive.folder)) }
    }
}
