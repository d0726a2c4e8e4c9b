import Foundation
import Testing
import Vocabulary

@testable import Cluster
@testable import Etcd

@Suite struct `Addresses of an etcd` {
    @Test func `name endpoints, prefix, user and TLS`() throws {
        let address = try EtcdAddress("etcds://me:s3:cret@a.example,10.0.0.1:4001,[::1]:4002/fleet/one/")
        #expect(address.usesTLS)
        #expect(address.endpoints == ["a.example:2379", "10.0.0.1:4001", "[::1]:4002"])
        #expect(address.prefix == "fleet/one")
        #expect(address.user == "me" && address.password == "s3:cret")
        #expect(address.description == "etcds://a.example:2379,10.0.0.1:4001,[::1]:4002/fleet/one")
        #expect(try EtcdAddress("etcd://h").description == "etcd://h:2379")
    }

    @Test(arguments: [
        "http://h:2379", "etcd://", "etcd://h:0", "etcd://h:x", "etcd://h:70000", "etcd://a,,b", "etcd://@h",
        "etcd://h/a b", "etcd://h\nX:1", "etcd://" + String(repeating: "a", count: 3000), "",
        "etcd://" + Array(repeating: "h", count: 17).joined(separator: ","),
    ])
    func `that are none are refused with a sentence`(text: String) {
        #expect(throws: EtcdAddressError.self) { try EtcdAddress(text) }
    }
}

/// What the brain relies on, at a real etcd.
@Suite(.serialized, .timeLimit(.minutes(2)), .enabled(if: EtcdProcess.isThere)) struct `Coordination by etcd` {
    /// A node whose lease nobody renews, and which lasts longer than its test unless the test says otherwise.
    private static func node(
        _ number: UInt64, _ address: EtcdAddress, boot: UInt64 = 1, lease: Duration = .seconds(60)
    ) throws -> EtcdCoordinator {
        try EtcdCoordinator(address, node: NodeID(number), boot: boot, lease: lease)
    }

    private static func entries(_ range: ClosedRange<UInt64>, term: UInt64) -> [LogEntry] {
        range.map { LogEntry(index: $0, term: term, stamp: .zero, command: nil, events: []) }
    }

    private static func won(_ coordinator: EtcdCoordinator) async throws -> UInt64 {
        let answer = await coordinator.answer(.campaign)
        guard case .won(let tenure) = answer else {
            Issue.record("not won: \(answer)")
            throw Overdue(description: "not won")
        }
        return tenure
    }

    private static func read(_ coordinator: EtcdCoordinator, after index: UInt64) async throws -> CoordinatorReading {
        let answer = await coordinator.answer(.read(after: index))
        guard case .read(let reading) = answer else {
            Issue.record("not read: \(answer)")
            throw Overdue(description: "not read")
        }
        return reading
    }

    private static let charter = CoordinatorCharter(cluster: 0xBEEF, termBase: 3)

    private static func founded(_ coordinator: EtcdCoordinator, bytes: Int = 10) async throws -> UInt64 {
        let tenure = try await won(coordinator)
        let place = LogPlace(index: 2, term: 1)
        let snapshot = CoordinatedSnapshot(place: place, bytes: Array(repeating: 7, count: bytes))
        #expect(await coordinator.answer(.found(tenure: tenure, charter, snapshot)) == .done)
        return tenure
    }

    @Test func `one leads, a later one has a higher tenure, and an ended one changes nothing`() async throws {
        let etcd = try await EtcdProcess()
        let (a, b) = (try Self.node(1, etcd.at()), try Self.node(2, etcd.at()))
        #expect(await a.answer(.inspect) == .inspected(nil, holder: nil))
        let first = try await Self.founded(a)
        #expect(await b.answer(.inspect) == .inspected(Self.charter, holder: NodeID(1)))
        #expect(await b.answer(.campaign) == .held)
        #expect(await a.answer(.renew(tenure: first)) == .renewed)
        let behind = LogPlace(index: 2, term: 1)
        let batch = Self.entries(3...5, term: 9)
        #expect(
            await a.answer(.append(tenure: first, behind: behind, batch)) == .appended(LogPlace(index: 5, term: 9)))
        // Again, as after a lost answer, and longer.
        let longer = Self.entries(3...6, term: 9)
        #expect(
            await a.answer(.append(tenure: first, behind: behind, longer)) == .appended(LogPlace(index: 5, term: 9)))
        #expect(await a.answer(.resign(tenure: first)) == .done)
        let second = try await Self.won(b)
        #expect(second > first)
        let place = LogPlace(index: 5, term: 9)
        let late = CoordinatedSnapshot(place: place, bytes: [1])
        for request in [
            CoordinatorRequest.append(tenure: first, behind: place, Self.entries(6...6, term: 9)),
            .compact(tenure: first, replacing: behind, late), .raise(tenure: first, Self.charter),
            .found(tenure: first, Self.charter, late), .renew(tenure: first),
        ] {
            #expect(await a.answer(request) == .fenced, "\(request)")
        }
        let reading = try await Self.read(b, after: 3)
        #expect(reading.head == place)
        #expect(reading.entries.map(\.index) == [3, 4, 5])
        #expect(reading.snapshot == nil)
        await a.close()
        await b.close()
    }

    @Test func `a snapshot in several pieces replaces the entries it holds, and never an older one a newer`()
        async throws
    {
        let etcd = try await EtcdProcess()
        let a = try Self.node(1, etcd.at())
        let tenure = try await Self.founded(a, bytes: EtcdLimits.pieceBytes * 2 + 5)
        #expect(try await Self.read(a, after: 0).snapshot?.bytes.count == EtcdLimits.pieceBytes * 2 + 5)
        var behind = LogPlace(index: 2, term: 1)
        for first in stride(from: UInt64(3), to: 120, by: 3) {
            let batch = Self.entries(first...first + 2, term: 9)
            let place = LogPlace(index: first + 2, term: 9)
            #expect(await a.answer(.append(tenure: tenure, behind: behind, batch)) == .appended(place))
            behind = place
        }
        let middle = CoordinatedSnapshot(place: LogPlace(index: 60, term: 9), bytes: [1, 2, 3])
        let old = LogPlace(index: 2, term: 1)
        #expect(await a.answer(.compact(tenure: tenure, replacing: old, middle)) == .compacted(middle.place))
        let stale = CoordinatedSnapshot(place: LogPlace(index: 30, term: 9), bytes: [9])
        #expect(await a.answer(.compact(tenure: tenure, replacing: old, stale)) == .compacted(middle.place))
        let whole = try await Self.read(a, after: 0)
        #expect(whole.snapshot == middle)
        #expect(whole.entries.map(\.index) == Array(61...behind.index))
        let tail = try await Self.read(a, after: 70)
        #expect(tail.snapshot == nil && tail.entries.first?.index == 70)
        // Only what counts is left.
        let client = EtcdClient(try etcd.at(), authority: nil)
        let range = EtcdTransaction.Range(key: Data("skein/piece/".utf8), range_end: Data("skein/piece0".utf8))
        #expect(try await client.call("kv/range", range, as: EtcdRange.self).kvs?.count == 1)
        await client.close()
        await a.close()
    }

    @Test func `a later life of the same node takes over at once, an earlier one never`() async throws {
        let etcd = try await EtcdProcess()
        let (old, new) = (try Self.node(1, etcd.at()), try Self.node(1, etcd.at(), boot: 2))
        let first = try await Self.founded(old)
        let second = try await Self.won(new)
        #expect(second > first)
        #expect(await old.answer(.renew(tenure: first)) == .fenced)
        #expect(await old.answer(.campaign) == .held)
        await old.close()
        await new.close()
    }

    @Test func `who ends without a word is replaced when its lease is over, and a deleted key ends a tenure`()
        async throws
    {
        let etcd = try await EtcdProcess()
        let (a, b) = (
            try Self.node(1, etcd.at(), lease: .seconds(3)), try Self.node(2, etcd.at(), lease: .seconds(3))
        )
        let first = try await Self.founded(a)
        _ = try await within(20, "the lease to end") { () async throws -> UInt64 in
            while true {
                if case .won(let tenure) = await b.answer(.campaign) { return tenure }
            }
        }
        #expect(await a.answer(.renew(tenure: first)) == .fenced)
        let client = EtcdClient(try etcd.at(), authority: nil)
        let second = try await Self.won(b)
        let key = EtcdTransaction.Range(key: Data("skein/leader".utf8))
        _ = try await client.call("kv/deleterange", key, as: EtcdNothing.self)
        #expect(await b.answer(.renew(tenure: second)) == .fenced)
        await client.close()
        await a.close()
        await b.close()
    }

    @Test func `the next endpoint is asked when one does not answer, and etcd's own compaction changes nothing`()
        async throws
    {
        let etcd = try await EtcdProcess()
        let a = try Self.node(1, try EtcdAddress("etcd://127.0.0.1:1,\(etcd.address)"))
        let tenure = try await Self.founded(a)
        let client = EtcdClient(try etcd.at(), authority: nil)
        struct Compaction: Encodable { var revision: EtcdNumber }
        _ = try await client.call(
            "kv/compaction", Compaction(revision: EtcdNumber(Int64(tenure))), as: EtcdNothing.self)
        #expect(try await Self.read(a, after: 0).snapshot?.place.index == 2)
        etcd.kill()
        guard case .unreachable = await a.answer(.inspect) else {
            Issue.record("a dead etcd answers")
            return
        }
        try await etcd.start()
        #expect(try await Self.read(a, after: 0).charter == Self.charter)
        await client.close()
        await a.close()
    }

    @Test func `a wrong password is refused with the next step, the right one works`() async throws {
        let etcd = try await EtcdProcess()
        let admin = EtcdClient(try etcd.at(), authority: nil)
        struct User: Encodable { var name: String, password: String }
        struct Grant: Encodable { var user: String, role: String }
        struct Role: Encodable { var name: String }
        struct Empty: Encodable {}
        _ = try await admin.call("auth/user/add", User(name: "root", password: "right"), as: EtcdNothing.self)
        _ = try? await admin.call("auth/role/add", Role(name: "root"), as: EtcdNothing.self)
        _ = try await admin.call("auth/user/grant", Grant(user: "root", role: "root"), as: EtcdNothing.self)
        _ = try await admin.call("auth/enable", Empty(), as: EtcdNothing.self)
        await admin.close()
        for login in ["root:wrong@", ""] {
            let stranger = try Self.node(1, etcd.at(login: login))
            guard case .refused(let reason) = await stranger.answer(.inspect) else {
                Issue.record("'\(login)' is let in")
                return
            }
            #expect(reason.contains("password"), "\(reason)")
            await stranger.close()
        }
        let member = try Self.node(1, etcd.at(login: "root:right@"))
        _ = try await Self.founded(member)
        await member.close()
    }
}
