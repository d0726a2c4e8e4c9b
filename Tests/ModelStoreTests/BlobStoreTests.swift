import Foundation
import ModelStore
import Synchronization
import Testing
import Vocabulary

@Suite struct `Uploaded files` {
    private let scratch: Scratch
    private static let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    init() throws { scratch = try Scratch() }

    private func store(_ limits: BlobLimits = BlobLimits(), free: UInt64 = 1 << 40) -> BlobStore {
        BlobStore(folder: scratch.path("blobs"), limits: limits) { _ in free }
    }

    private func append(_ text: String, to upload: BlobUpload) throws {
        try Array(text.utf8).withUnsafeBytes { try upload.append($0) }
    }

    @Test func `a file has its name when all of it is there`() throws {
        let store = store()
        let upload = try store.begin(Self.abc, byteCount: 3)
        try append("a", to: upload)
        #expect(store.pin(Self.abc) == nil)
        try append("bc", to: upload)
        try upload.finish()
        #expect(store.pin(Self.abc)?.byteCount == 3)
        #expect(scratch.names(in: "blobs") == ["sha256-\(Self.abc)"])
        store.remove(Self.abc)
        #expect(store.pin(Self.abc) == nil)
    }

    @Test func `other bytes than the digest's leave nothing behind`() throws {
        let store = store()
        let upload = try store.begin(Self.abc, byteCount: 3)
        try append("abd", to: upload)
        #expect {
            try upload.finish()
        } throws: { error in
            guard case .wrongDigest(_, Self.abc, let actual) = error as? StoreError else { return false }
            return actual != Self.abc && actual.count == 64
        }
        #expect(scratch.names(in: "blobs").isEmpty)
    }

    @Test func `an upload that is given up or forgotten leaves nothing behind`() throws {
        let store = store()
        let given = try store.begin(Self.abc, byteCount: nil)
        try append("ab", to: given)
        given.abandon()
        do {
            let forgotten = try store.begin(Self.abc, byteCount: nil)
            try append("ab", to: forgotten)
        }
        #expect(scratch.names(in: "blobs").isEmpty)
    }

    @Test func `two uploads of one file at once both succeed`() throws {
        let store = store()
        let uploads = [try store.begin(Self.abc, byteCount: 3), try store.begin(Self.abc, byteCount: 3)]
        for part in ["ab", "c"] { for upload in uploads { try append(part, to: upload) } }
        for upload in uploads { try upload.finish() }
        #expect(scratch.names(in: "blobs") == ["sha256-\(Self.abc)"])
        #expect(try String(contentsOfFile: store.path(Self.abc), encoding: .utf8) == "abc")
    }

    @Test func `a file beyond the limit is refused before and while it comes`() throws {
        var limits = BlobLimits()
        limits.fileBytes = 4
        let store = store(limits)
        #expect(throws: StoreError.self) { try store.begin(Self.abc, byteCount: 5) }
        let upload = try store.begin(Self.abc, byteCount: nil)
        try append("abcd", to: upload)
        #expect {
            try append("e", to: upload)
        } throws: { error in
            if case .tooLong(_, let bytes, let limit) = error as? StoreError {
                bytes.bytes == 5 && limit.bytes == 4
            } else {
                false
            }
        }
    }

    @Test func `a full disk is noticed before and while the file comes`() throws {
        var limits = BlobLimits()
        limits.reserveBytes = 10
        #expect {
            try store(limits, free: 12).begin(Self.abc, byteCount: 3)
        } throws: { error in
            if case .diskFull(_, let needed, let free) = error as? StoreError {
                needed.bytes == 13 && free.bytes == 12
            } else {
                false
            }
        }
        let free = Mutex<UInt64>(1 << 30)
        let shrinking = BlobStore(folder: scratch.path("blobs"), limits: limits) { _ in free.withLock { $0 } }
        let upload = try shrinking.begin(Self.abc, byteCount: nil)
        free.withLock { $0 = 1 << 20 }
        #expect(throws: StoreError.self) { try append("abc", to: upload) }
        upload.abandon()
        #expect(scratch.names(in: "blobs").isEmpty)
    }

    @Test func `no more uploads than the limit are taken at once`() throws {
        var limits = BlobLimits()
        limits.uploads = 2
        let store = store(limits)
        let first = try store.begin(Self.abc, byteCount: nil)
        let second = try store.begin(Self.abc, byteCount: nil)
        #expect(throws: StoreError.self) { try store.begin(Self.abc, byteCount: nil) }
        first.abandon()
        try store.begin(Self.abc, byteCount: nil).abandon()
        second.abandon()
    }

    @Test func `what nobody uses goes, the oldest first, and what is in use or arriving stays`() throws {
        var limits = BlobLimits()
        limits.unusedBytes = 8
        limits.unusedSeconds = 100
        let store = store(limits)
        try FileManager.default.createDirectory(atPath: scratch.path("blobs"), withIntermediateDirectories: true)
        for (name, seconds) in [("used", 10), ("old", 20), ("first", 910), ("held", 920), ("last", 930)] {
            try Facts.setTimes(of: try scratch.write([1, 2, 3, 4], to: "blobs/sha256-\(name)"), to: seconds)
        }
        _ = try scratch.write([1], to: "blobs/sha256-gone.1-1.part")
        let arriving = try store.begin(Self.abc, byteCount: nil)
        let held = store.pin("held")
        store.sweep(keeping: ["used"], now: 1000)
        let left = scratch.names(in: "blobs").filter { !$0.hasSuffix(".part") }
        #expect(left == ["sha256-held", "sha256-last", "sha256-used"])
        #expect(scratch.names(in: "blobs").count == 4, "the upload under way is left alone, the broken one is gone")
        #expect(held != nil)
        arriving.abandon()
        store.sweep(keeping: [], now: 10_000)
        #expect(scratch.names(in: "blobs") == ["sha256-held"])
    }

    @Test func `the digest made on the way need not be made again`() throws {
        let digests = DigestCache(folder: scratch.path("digests"))
        let path = try scratch.write(Array("abc".utf8), to: "file")
        try digests.note(String(repeating: "7", count: 64), ofFile: path)
        #expect(try digests.digest(ofFile: path) == String(repeating: "7", count: 64))
    }
}
