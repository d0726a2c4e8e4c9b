import Foundation
import GGUF
import Synchronization
import Testing
import Vocabulary

@testable import ModelStore

@Suite(.timeLimit(.minutes(2))) struct `The cache of stage files` {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private var cache: StageFileCache { StageFileCache(folder: scratch.path("stages")) }
    private var cached: [String] { scratch.names(in: "stages") }

    private static func cutter(_ path: String = Models.builtin) throws -> ModelCutter {
        try ModelFile(path: path).cutter()
    }

    private static func plan(_ first: Int, _ end: Int, _ path: String = Models.builtin) throws -> StageFilePlan {
        try cutter(path).plan(LayerRange(first: first, end: end))
    }

    /// What the plan says that the file holds, byte for byte.
    private static func content(_ plan: StageFilePlan, of source: [UInt8]) -> [UInt8] {
        var bytes = plan.header + [UInt8](repeating: 0, count: Int(plan.fileByteCount) - plan.header.count)
        for segment in plan.segments {
            let from = Int(segment.sourceOffset)
            let to = Int(segment.destinationOffset)
            bytes.replaceSubrange(to..<to + Int(segment.byteCount), with: source[from..<from + Int(segment.byteCount)])
        }
        return bytes
    }

    @Test func `what a process began and did not live to end makes way, what one is writing stays`() throws {
        let plan = try Self.plan(0, 4)
        _ = try cache.materialise(plan, of: Models.builtin, digest: "one")
        let whole = cached
        // No system has a process of that number.
        let dead = scratch.path("stages") + "/aa.gguf.2147483647-1.part"
        let held = scratch.path("stages") + "/bb.gguf.2147483647-1.part"
        let own = scratch.path("stages") + "/cc.gguf.\(ProcessInfo.processInfo.processIdentifier)-1.part"
        for path in [dead, held, own] { try Data([1]).write(to: URL(filePath: path)) }
        let writer = try #require(PinnedFile(path: held))
        _ = try cache.materialise(plan, of: Models.builtin, digest: "two")
        #expect(cached.count == whole.count + 3)
        #expect(cached.contains { $0.hasPrefix("bb") } && cached.contains { $0.hasPrefix("cc") })
        #expect(!cached.contains { $0.hasPrefix("aa.gguf.2147483647") })
        withExtendedLifetime(writer) {}
    }

    @Test func `every tensor of a stage is the model's, and what lies between is zeros`() throws {
        let source = try Models.bytes(Models.builtin)
        let cutter = try Self.cutter()
        let cut = try #require(Cut(layerCount: 8, boundaries: [3, 6]))
        for layers in cut.stages {
            let plan = try cutter.plan(layers)
            let pin = try cache.materialise(plan, of: Models.builtin, digest: "d")
            let bytes = try Models.bytes(pin.path)
            #expect(bytes == Self.content(plan, of: source))
            #expect(pin.byteCount == UInt64(bytes.count))
            let stage = try GGUFFile.parse(ByteArraySource(bytes))
            #expect(stage.layerCount == layers.count)
            var compared = 0
            for tensor in stage.tensors {
                guard let layer = tensor.layerIndex else { continue }
                let name = "blk.\(layer + layers.first).\(tensor.roleName)"
                let original = try #require(cutter.file.tensor(named: name))
                let from = Int(cutter.file.fileOffset(of: original))
                let at = Int(stage.fileOffset(of: tensor))
                #expect(tensor.byteCount == original.byteCount)
                #expect(bytes[at..<at + Int(tensor.byteCount)] == source[from..<from + Int(original.byteCount)])
                compared += 1
            }
            #expect(compared == layers.count * 11)
        }
        #expect(cached.count == 3)
    }

    @Test func `a tensor nobody reads takes no room on the disk`() throws {
        let model = try Models.synthetic(in: scratch)
        // A tensor that the loader wants and nobody reads, behind the others.
        var plan = try Self.plan(0, 2, model)
        plan.fileByteCount += 1 << 20
        let pin = try cache.materialise(plan, of: model, digest: "d")
        let facts = try Facts(pin.path)
        let hole = plan.fileByteCount - plan.copiedByteCount - UInt64(plan.header.count)
        #expect(hole > 150_000)
        #expect(facts.byteCount == plan.fileByteCount)
        // Blocks at the edges of a hole are there.
        #expect(facts.allocatedByteCount < plan.fileByteCount - hole / 2)
    }

    @Test func `the same stage is not written twice`() throws {
        let plan = try Self.plan(0, 4)
        let first = try cache.materialise(plan, of: Models.builtin, digest: "d")
        try Facts.setTimes(of: first.path, to: 1_000_000)
        let before = try Facts(first.path)
        // The model is not needed any more.
        let second = try cache.materialise(plan, of: scratch.path("gone.gguf"), digest: "d")
        let after = try Facts(second.path)
        #expect(first.path == second.path)
        #expect(after.number == before.number)
        #expect(after.accessed > before.accessed)
    }

    @Test func `another model, another stage or a damaged length is another file`() throws {
        let first = try cache.materialise(try Self.plan(0, 4), of: Models.builtin, digest: "d")
        let other = try cache.materialise(try Self.plan(0, 4), of: Models.builtin, digest: "e")
        let third = try cache.materialise(try Self.plan(4, 8), of: Models.builtin, digest: "d")
        #expect(Set([first.path, other.path, third.path]).count == 3)
        let length = try Facts(first.path).byteCount
        truncate(first.path, 100)
        let again = try cache.materialise(try Self.plan(0, 4), of: Models.builtin, digest: "d")
        #expect(again.path == first.path)
        #expect(try Facts(again.path).byteCount == length)
    }

    @Test func `callers at the same time get one whole file`() throws {
        let source = try Models.bytes(Models.builtin)
        for first in 0..<4 {
            let plan = try Self.plan(first, first + 4)
            let found = Self.onThreads(8) { [cache] in
                Result { try cache.materialise(plan, of: Models.builtin, digest: "d") }
            }
            let expected = Self.content(plan, of: source)
            let paths = try found.map { try $0.get().path }
            #expect(Set(paths).count == 1)
            #expect(try Models.bytes(paths[0]) == expected)
        }
        #expect(cached.count == 4)
        #expect(cached.allSatisfy { $0.hasSuffix(".gguf") })
    }

    /// Runs `body` on threads of their own, all at once.
    private static func onThreads<Value: Sendable>(_ count: Int, _ body: @escaping @Sendable () -> Value) -> [Value] {
        let values = Mutex<[Value]>([])
        let started = DispatchSemaphore(value: 0)
        let group = DispatchGroup()
        for _ in 0..<count {
            group.enter()
            Thread.detachNewThread {
                started.wait()
                let value = body()
                values.withLock { $0.append(value) }
                group.leave()
            }
        }
        for _ in 0..<count { started.signal() }
        group.wait()
        return values.withLock { $0 }
    }

    @Test func `the least recently used file nobody has pinned goes first`() throws {
        let plans = try (0..<5).map { try Self.plan($0, $0 + 2) }
        let roomy = cache
        // Made in one order, used in another.
        var paths: [String] = []
        for (plan, seconds) in zip(plans, [400, 100, 300, 200]) {
            paths.append(try roomy.materialise(plan, of: Models.builtin, digest: "d").path)
            try Facts.setTimes(of: paths[paths.count - 1], to: seconds)
        }
        let total = try paths.reduce(0) { try $0 + Facts($1).byteCount }
        let pin = try #require(PinnedFile(path: paths[1]))
        // The fifth file fits when two are gone; the oldest is pinned.
        let two = try Facts(paths[3]).byteCount + Facts(paths[2]).byteCount
        let limit = ByteCount(total + plans[4].copiedByteCount - two)
        let tight = StageFileCache(folder: scratch.path("stages"), byteLimit: limit)
        let added = try tight.materialise(plans[4], of: Models.builtin, digest: "d")
        let expected = [paths[0], paths[1], added.path].map { $0.split(separator: "/").last.map(String.init) ?? $0 }
        #expect(cached == expected.sorted())
        #expect(try Models.bytes(pin.path).count == Int(pin.byteCount))
    }

    @Test func `files in use stay even when there is no room for more`() throws {
        let tight = StageFileCache(folder: scratch.path("stages"), byteLimit: ByteCount(1))
        let pins = try (0..<3).map { first in
            try tight.materialise(try Self.plan(first, first + 2), of: Models.builtin, digest: "d")
        }
        #expect(cached.count == 3)
        #expect(pins.allSatisfy { FileManager.default.fileExists(atPath: $0.path) })
    }

    @Test func `a model that cannot be read is named, and nothing is left behind`() throws {
        let gone = scratch.path("gone.gguf")
        let short = try scratch.write(Array(try Models.bytes(Models.builtin).prefix(500_000)), to: "short.gguf")
        for path in [gone, short] {
            do {
                _ = try cache.materialise(try Self.plan(0, 4), of: path, digest: "d")
                Issue.record("a stage was made from \(path)")
            } catch {
                guard case .unreadable(path, let reason) = error as? StoreError else {
                    Issue.record("the wrong file or reason is named: \(error)")
                    continue
                }
                #expect(!reason.isEmpty)
            }
        }
        #expect(cached == [])
    }

    @Test func `a cache that cannot be written is named`() throws {
        let file = try scratch.write([1], to: "file")
        let cache = StageFileCache(folder: "\(file)/stages")
        #expect {
            _ = try cache.materialise(try Self.plan(0, 4), of: Models.builtin, digest: "d")
        } throws: { error in
            guard case .unwritable(let path, _) = error as? StoreError else { return false }
            return path.hasPrefix(file)
        }
    }
}
