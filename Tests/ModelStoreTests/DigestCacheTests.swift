import Crypto
import Foundation
import ModelStore
import Testing

@Suite struct `Digests of files` {
    private let scratch: Scratch
    private static let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    init() throws { scratch = try Scratch() }

    @Test func `the digest is the SHA-256 of the content`() throws {
        let digests = DigestCache(folder: scratch.path("digests"))
        #expect(try digests.digest(ofFile: try scratch.write(Array("abc".utf8), to: "abc")) == Self.abc)
        let expected = SHA256.hash(data: try Data(contentsOf: URL(filePath: Models.builtin)))
            .map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        #expect(try digests.digest(ofFile: Models.builtin) == expected)
        #expect(try digests.digest(ofFile: Models.builtin) == expected)
        #expect(scratch.names(in: "digests").count == 2)
    }

    @Test func `a changed file is read again and an unchanged one is not`() throws {
        let digests = DigestCache(folder: scratch.path("digests"))
        let path = try scratch.write(Array("abc".utf8), to: "file")
        try Facts.setTimes(of: path, to: 1000)
        #expect(try digests.digest(ofFile: path) == Self.abc)
        try overwrite(path, with: "abd")
        try Facts.setTimes(of: path, to: 1000)
        #expect(try digests.digest(ofFile: path) == Self.abc, "the file was read again although nothing changed")
        try Facts.setTimes(of: path, to: 1001)
        #expect(try digests.digest(ofFile: path) != Self.abc)
        try overwrite(path, with: "abc")
        try Facts.setTimes(of: path, to: 1002)
        #expect(try digests.digest(ofFile: path) == Self.abc)
    }

    /// Changes the content and leaves the file the same one.
    private func overwrite(_ path: String, with text: String) throws {
        let handle = try FileHandle(forWritingTo: URL(filePath: path))
        try handle.write(contentsOf: Data(text.utf8))
        try handle.close()
    }

    @Test func `the folder and those above it are made`() throws {
        let digests = DigestCache(folder: scratch.path("cache/digests"))
        _ = try digests.digest(ofFile: try scratch.write(Array("abc".utf8), to: "abc"))
        #expect(scratch.names(in: "cache/digests").count == 1)
    }

    @Test func `a file that is not there is named`() throws {
        let path = scratch.path("gone")
        #expect {
            _ = try DigestCache(folder: scratch.path("digests")).digest(ofFile: path)
        } throws: { error in
            guard case .unreadable(path, _) = error as? StoreError else { return false }
            return true
        }
    }
}
