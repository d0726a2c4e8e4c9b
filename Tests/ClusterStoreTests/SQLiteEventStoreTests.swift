import Cluster
import ClusterStore
import Foundation
import GRDB
import Testing
import Vocabulary

@Suite struct `SQLite event store` {
    /// A folder that is gone after the test.
    private static func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "skein-cluster-\(UUID())").path()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private static func copy(_ from: String, _ to: String) throws {
        try? FileManager.default.removeItem(atPath: to)
        try FileManager.default.copyItem(atPath: from, toPath: to)
        // The lock and the index of the log belong to the process that is gone.
        for name in try FileManager.default.contentsOfDirectory(atPath: to) where name.hasSuffix("-shm") {
            try FileManager.default.removeItem(atPath: "\(to)/\(name)")
        }
    }

    private static let seeds: [UInt64] = {
        let environment = ProcessInfo.processInfo.environment
        if let seed = environment["SEED"].flatMap(UInt64.init) { return [seed] }
        return Array(1...8)
    }()

    @Test(arguments: seeds)
    func `any sequence of records leaves what the model says, also after it is opened again`(seed: UInt64) throws {
        try Self.withFolder { folder in
            print("SEED=\(seed)")
            let path = "\(folder)/cluster.sqlite"
            var maker = RecordMaker(seed: seed)
            var model = StoredCluster()
            var store: SQLiteEventStore? = try SQLiteEventStore(path: path)
            for round in 0..<400 {
                let batch = maker.batch()
                try store?.write(batch)
                for record in batch { model.apply(record) }
                guard maker.random.below(10) == 0 else { continue }
                if maker.random.below(3) == 0 {
                    store = nil
                    store = try SQLiteEventStore(path: path)
                }
                let loaded = try store?.load()
                #expect(loaded == model, "SEED=\(seed) round \(round)")
                guard loaded == model else { return }
            }
            #expect(store?.setAside.isEmpty == true)
        }
    }

    @Test func `a fence that was forgotten is gone, also after the file is opened again`() throws {
        try Self.withFolder { folder in
            let path = "\(folder)/cluster.sqlite"
            let replicas = (0..<3).map { ReplicaKey(deployment: "d", index: $0) }
            do {
                var store = try SQLiteEventStore(path: path)
                try store.write(replicas.map { StoredRecord.fence($0, Epoch(term: 2, number: 5)) })
                try store.write([.unfence(replicas[1])])
                #expect(try store.load().fences.keys == [replicas[0], replicas[2]])
                try store.write([.unfence(replicas[0]), .unfence(ReplicaKey(deployment: "other", index: 0))])
            }
            var store = try SQLiteEventStore(path: path)
            #expect(try store.load().fences.keys == [replicas[2]])
        }
    }

    @Test(arguments: seeds)
    func `a torn write keeps whole batches only, in their order`(seed: UInt64) throws {
        try Self.withFolder { folder in
            print("SEED=\(seed)")
            var maker = RecordMaker(seed: seed &* 77)
            var store = try SQLiteEventStore(path: "\(folder)/live/cluster.sqlite")
            var states = [StoredCluster()]
            for _ in 0..<30 {
                let batch = maker.batch()
                try store.write(batch)
                var next = states[states.count - 1]
                for record in batch { next.apply(record) }
                states.append(next)
            }
            for _ in 0..<12 {
                // The process is killed, and the disk kept a part of its log only.
                try Self.copy("\(folder)/live", "\(folder)/torn")
                let log = "\(folder)/torn/cluster.sqlite-wal"
                let handle = try FileHandle(forUpdating: URL(filePath: log))
                let size = try handle.seekToEnd()
                try handle.truncate(atOffset: UInt64(maker.random.below(Int(size) + 1)))
                try handle.close()
                var torn = try SQLiteEventStore(path: "\(folder)/torn/cluster.sqlite")
                let loaded = try torn.load()
                #expect(torn.setAside.isEmpty)
                #expect(states.contains(loaded), "SEED=\(seed)")
                try torn.write([.election(term: 9, vote: nil)])
                #expect(try torn.load().term == 9)
            }
            try Self.copy("\(folder)/live", "\(folder)/whole")
            var whole = try SQLiteEventStore(path: "\(folder)/whole/cluster.sqlite")
            #expect(try whole.load() == states.last)
        }
    }

    @Test(arguments: seeds)
    func `a flipped bit is noticed or without effect, never believed`(seed: UInt64) throws {
        try Self.withFolder { folder in
            print("SEED=\(seed)")
            var maker = RecordMaker(seed: seed &* 991)
            var model = StoredCluster()
            do {
                var store = try SQLiteEventStore(path: "\(folder)/live/cluster.sqlite")
                for _ in 0..<40 {
                    let batch = maker.batch() + [.append([maker.entry()])]
                    try store.write(batch)
                    for record in batch { model.apply(record) }
                }
            }
            var noticed = 0
            for _ in 0..<40 {
                try Self.copy("\(folder)/live", "\(folder)/flipped")
                let path = "\(folder)/flipped/cluster.sqlite"
                var bytes = try Data(contentsOf: URL(filePath: path))
                // The version of the tables stands in bytes 60 … 63: another one is another release, not damage.
                let place = 100 + maker.random.below(bytes.count - 100)
                bytes[place] ^= UInt8(1 << maker.random.below(8))
                try bytes.write(to: URL(filePath: path))
                var store = try SQLiteEventStore(path: path)
                do throws(StoreFailure) {
                    #expect(try store.load() == model, "SEED=\(seed) byte \(place)")
                } catch {
                    guard case .damaged(let field, let reason) = error else { throw error }
                    #expect(!field.isEmpty && !reason.isEmpty)
                    noticed += 1
                    #expect(store.setAside == ["\(path).damaged-1"])
                    #expect(FileManager.default.fileExists(atPath: "\(path).damaged-1"))
                    #expect(try store.load() == StoredCluster())
                    try store.write([.election(term: 3, vote: NodeID(1))])
                    #expect(try store.load().vote == NodeID(1))
                }
            }
            #expect(noticed > 0)
        }
    }

    @Test func `what is no database is set aside and reported once`() throws {
        try Self.withFolder { folder in
            let path = "\(folder)/cluster.sqlite"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try Data(String(repeating: "no database ", count: 400).utf8).write(to: URL(filePath: path))
            var store = try SQLiteEventStore(path: path)
            #expect(throws: StoreFailure.self) { try store.load() }
            #expect(store.setAside == ["\(path).damaged-1"])
            #expect(try store.load() == StoredCluster())
        }
    }

    @Test func `a full disk is told with its numbers, keeps what was there, and takes writes when there is room`()
        throws
    {
        try Self.withFolder { folder in
            var maker = RecordMaker(seed: 5)
            var store = try SQLiteEventStore(path: "\(folder)/cluster.sqlite", fileBytes: 256 << 10)
            try store.write([.election(term: 4, vote: NodeID(2)), .append([maker.entry()])])
            let before = try store.load()
            let many = (0..<4000).map { _ in maker.entry() }
            do throws(StoreFailure) {
                try store.write([.election(term: 5, vote: nil), .append(many)])
                Issue.record("the disk took more than it can")
            } catch {
                guard case .full(let needed, let free) = error else { throw error }
                #expect(needed > 256 << 10)
                #expect((0...(256 << 10)).contains(free))
            }
            #expect(try store.load() == before)
            try store.write([.rebase(before), .election(term: 6, vote: nil)])
            #expect(try store.load().term == 6)
        }
    }

    @Test func `a memory of another identity is set aside, and one without a name becomes its opener's`() throws {
        try Self.withFolder { folder in
            let path = "\(folder)/cluster.sqlite"
            let old = StoreOwner(cluster: 7, node: NodeID(1))
            do {
                var store = try SQLiteEventStore(path: path)
                try store.write([.election(term: 4, vote: NodeID(1))])
            }
            for _ in 0..<2 {
                var store = try SQLiteEventStore(path: path, owner: old)
                #expect(store.foreigner == nil && store.setAside.isEmpty)
                #expect(try store.load().term == 4)
            }
            for other in [StoreOwner(cluster: 8, node: NodeID(1)), StoreOwner(cluster: 8, node: NodeID(2))] {
                var store = try SQLiteEventStore(path: path, owner: other)
                #expect(store.foreigner != nil && store.foreigner != other)
                #expect(try store.load() == StoredCluster())
                try store.write([.election(term: 9, vote: nil)])
            }
            var kept = try SQLiteEventStore(path: "\(path).foreign-1", owner: old)
            #expect(try kept.load().term == 4)
        }
    }

    @Test func `a file of the first version is taken over`() throws {
        try Self.withFolder { folder in
            let path = "\(folder)/cluster.sqlite"
            do {
                var store = try SQLiteEventStore(path: path)
                try store.write([.election(term: 4, vote: NodeID(1))])
            }
            try DatabaseQueue(path: path).write {
                try $0.execute(
                    sql: "DROP TABLE owner; DELETE FROM part WHERE name = 'forgotten'; PRAGMA user_version = 1")
            }
            var store = try SQLiteEventStore(path: path, owner: StoreOwner(cluster: 7, node: NodeID(1)))
            let loaded = try store.load()
            #expect(loaded.term == 4 && !loaded.hasForgotten)
            try store.write([.forgotten(true)])
            #expect(try store.load().hasForgotten)
        }
    }

    @Test func `a second process with the same folder is refused`() throws {
        try Self.withFolder { folder in
            let path = "\(folder)/cluster.sqlite"
            let first = try SQLiteEventStore(path: path)
            #expect {
                try SQLiteEventStore(path: path)
            } throws: { error in
                "\(error)".contains("another process")
            }
            withExtendedLifetime(first) {}
        }
    }

    @Test func `a file of a later release is left alone`() throws {
        try Self.withFolder { folder in
            let path = "\(folder)/cluster.sqlite"
            do { _ = try SQLiteEventStore(path: path) }
            try DatabaseQueue(path: path).write { try $0.execute(sql: "PRAGMA user_version = 99") }
            #expect {
                try SQLiteEventStore(path: path)
            } throws: { error in
                "\(error)".contains("has version 99")
            }
            #expect(!FileManager.default.fileExists(atPath: "\(path).damaged-1"))
        }
    }

    @Test func `a place that cannot be written is an error, and the file is its user's alone`() throws {
        #expect(throws: StoreFailure.self) { try SQLiteEventStore(path: "/dev/null/cluster.sqlite") }
        try Self.withFolder { folder in
            _ = try SQLiteEventStore(path: "\(folder)/data/cluster.sqlite")
            for (place, mode) in [("\(folder)/data/cluster.sqlite", 0o600), ("\(folder)/data", 0o700)] {
                let attributes = try FileManager.default.attributesOfItem(atPath: place)
                #expect(attributes[.posixPermissions] as? Int == mode, "\(place)")
            }
        }
    }

    @Test func `twenty thousand entries in batches of five hundred are all there, in their order`() throws {
        try Self.withFolder { folder in
            var maker = RecordMaker(seed: 1)
            let path = "\(folder)/cluster.sqlite"
            let batches = (0..<40).map { _ in (0..<500).map { _ in maker.entry() } }
            do {
                var store = try SQLiteEventStore(path: path)
                for batch in batches { try store.write([.append(batch)]) }
                #expect(try store.load().entries.count == 20_000)
            }
            var again = try SQLiteEventStore(path: path)
            // Twenty thousand entries are nothing to be printed.
            let isSame = try again.load().entries == Array(batches.joined())
            #expect(isSame)
        }
    }
}
