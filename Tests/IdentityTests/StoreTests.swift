import Cluster
import Foundation
import Identity
import SystemPackage
import Testing
import Vocabulary

@Suite struct `Identity on disk` {
    private let now = WallTime(milliseconds: 1_795_000_000_000)

    private func cluster(_ value: UInt64 = 0xC1) throws -> ClusterID { try #require(ClusterID(value)) }

    @Test func `an identity outlives restarts, before and after it joins a cluster`() async throws {
        try await TemporaryFolder.with { folder in
            let first = try IdentityStore(dataDirectory: FilePath(folder)).identity
            #expect(first.credentials == nil)
            var founded: NodeCredentials?
            do {
                let store = try IdentityStore(dataDirectory: FilePath(folder))
                #expect(store.identity.node == first.node)
                #expect(store.identity.key.fingerprint == first.key.fingerprint)
                founded = try store.found(try cluster(), now: now)
            }
            let store = try IdentityStore(dataDirectory: FilePath(folder))
            #expect(store.identity.node == first.node)
            #expect(store.identity.credentials?.certificate == founded?.certificate)
            #expect(store.authority?.certificate == founded?.authority)
            #expect(throws: IdentityError.self) { try store.found(try cluster(2), now: now) }
        }
    }

    @Test func `no second process uses a data directory, and ends of processes free it`() async throws {
        try await TemporaryFolder.with { folder in
            let path = FilePath(folder)
            do {
                let store = try IdentityStore(dataDirectory: path)
                let error = #expect(throws: IdentityError.self) { try IdentityStore(dataDirectory: path) }
                guard case .inUse(_, let process)? = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                #expect(process.hasPrefix("process "))
                withExtendedLifetime(store) {}
            }
            _ = try IdentityStore(dataDirectory: path)
        }
    }

    @Test func `of many concurrent starts one gets the identity`() async throws {
        try await TemporaryFolder.with { folder in
            let stores = await withTaskGroup(of: IdentityStore?.self) { group in
                for _ in 0..<16 { group.addTask { try? IdentityStore(dataDirectory: FilePath(folder)) } }
                var stores: [IdentityStore] = []
                for await store in group { if let store { stores.append(store) } }
                return stores
            }
            #expect(stores.count == 1)
            let node = stores.first?.identity.node
            #expect(node != nil)
        }
    }

    @Test func `files with keys are for their owner alone`() async throws {
        try await TemporaryFolder.with { folder in
            _ = try IdentityStore(dataDirectory: FilePath(folder)).found(try cluster(), now: now)
            for name in ["identity.pem", "authority-key.pem"] {
                let path = folder + "/identity/" + name
                let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
                #expect(mode == 0o600)
                try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
                let error = #expect(throws: IdentityError.self) { try IdentityStore(dataDirectory: FilePath(folder)) }
                #expect(error == .exposed(path: path, mode: 0o640))
                try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
            }
            _ = try IdentityStore(dataDirectory: FilePath(folder))
        }
    }

    private func write(_ bytes: [UInt8], _ path: String) throws {
        try Data(bytes).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    }

    @Test func `a damaged identity is named and never replaced`() async throws {
        try await TemporaryFolder.with { folder in
            _ = try IdentityStore(dataDirectory: FilePath(folder)).found(try cluster(), now: now)
            let path = folder + "/identity/identity.pem"
            let good = Array(try Data(contentsOf: URL(filePath: path)))
            var cases = stride(from: 0, to: good.count, by: 41).map { index in
                var bad = good
                bad[index] ^= 1
                return bad
            }
            cases += stride(from: 0, to: good.count, by: 97).map { Array(good.prefix($0)) }
            cases += [[], [UInt8](repeating: 0xFF, count: 100), [UInt8](repeating: 65, count: 20_000), good + good]
            for bad in cases {
                try write(bad, path)
                let error = #expect(throws: IdentityError.self) { try IdentityStore(dataDirectory: FilePath(folder)) }
                guard case .damaged(path, _)? = error else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
                #expect(Array(try Data(contentsOf: URL(filePath: path))) == bad)
            }
            try write(good, path)
            #expect(try IdentityStore(dataDirectory: FilePath(folder)).identity.credentials != nil)
        }
    }

    @Test func `a damaged or foreign authority key is named`() async throws {
        try await TemporaryFolder.with { folder in
            _ = try IdentityStore(dataDirectory: FilePath(folder)).found(try cluster(), now: now)
            let path = folder + "/identity/authority-key.pem"
            let foreign = try await TemporaryFolder.with { other in
                _ = try IdentityStore(dataDirectory: FilePath(other)).found(try cluster(), now: now)
                return Array(try Data(contentsOf: URL(filePath: other + "/identity/authority-key.pem")))
            }
            for bad in [foreign, Array("x".utf8), []] {
                try write(bad, path)
                let error = #expect(throws: IdentityError.self) { try IdentityStore(dataDirectory: FilePath(folder)) }
                guard case .damaged(path, _)? = error else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
            }
        }
    }

    @Test func `a lost identity is not drawn anew beside its authority key`() async throws {
        try await TemporaryFolder.with { folder in
            _ = try IdentityStore(dataDirectory: FilePath(folder)).found(try cluster(), now: now)
            try FileManager.default.removeItem(atPath: folder + "/identity/identity.pem")
            let error = #expect(throws: IdentityError.self) { try IdentityStore(dataDirectory: FilePath(folder)) }
            guard case .lost? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
    }

    @Test func `what a crash left in between does no harm`() async throws {
        try await TemporaryFolder.with { folder in
            let node = try IdentityStore(dataDirectory: FilePath(folder)).identity.node
            // A join that was cut off: the authority's key is there, the certificate is not; and half a new file.
            try write(Array("half".utf8), folder + "/identity/identity.pem.new")
            try write(Array("anything".utf8), folder + "/identity/authority-key.pem")
            let store = try IdentityStore(dataDirectory: FilePath(folder))
            #expect(store.identity.node == node)
            #expect(store.authority == nil)
            #expect(!FileManager.default.fileExists(atPath: folder + "/identity/authority-key.pem"))
            _ = try store.found(try cluster(), now: now)
        }
    }

    @Test func `a disk that takes nothing leaves the old identity in place`() async throws {
        try await TemporaryFolder.with { folder in
            let store = try IdentityStore(dataDirectory: FilePath(folder))
            let node = store.identity.node
            // A folder in the way of the temporary file: no privilege can write through it.
            try FileManager.default.createDirectory(
                atPath: folder + "/identity/identity.pem.new/x", withIntermediateDirectories: true)
            let error = #expect(throws: IdentityError.self) { try store.found(try cluster(), now: now) }
            guard case .file? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(store.identity.credentials == nil)
            #expect(store.authority == nil)
            #expect(store.identity.node == node)
        }
    }

    @Test func `a reset makes a new node of the machine`() async throws {
        try await TemporaryFolder.with { folder in
            let store = try IdentityStore(dataDirectory: FilePath(folder))
            let old = try store.found(try cluster(), now: now)
            let fresh = try store.reset()
            #expect(fresh.node != old.node)
            #expect(fresh.key.fingerprint != old.key.fingerprint)
            #expect(store.authority == nil)
            #expect(store.identity.credentials == nil)
        }
    }

    @Test func `whoever leaves is a new node, and its old identity is kept beside`() async throws {
        try await TemporaryFolder.with { folder in
            let place = FilePath(folder)
            #expect(try IdentityStore.peek(dataDirectory: place) == nil)
            #expect(IdentityStore.holder(dataDirectory: place) == nil)
            var nodes: Set<NodeID> = []
            for round in 1...(Identity.Limits.leftIdentities + 2) {
                let store = try IdentityStore(dataDirectory: place)
                #expect(IdentityStore.holder(dataDirectory: place) == getpid())
                #expect(throws: IdentityError.notMember) { try store.leave() }
                _ = try store.found(try #require(ClusterID(0xC1)), now: .current)
                let old = store.identity.node
                #expect(try IdentityStore.peek(dataDirectory: place)?.node == old)
                let kept = try store.leave()
                #expect("\(kept)".hasSuffix(".left-\(min(round, Identity.Limits.leftIdentities))"))
                #expect(try String(contentsOfFile: "\(kept)", encoding: .utf8).contains("node \(old)"))
                #expect(store.identity.node != old && store.identity.credentials == nil && store.authority == nil)
                nodes.insert(old)
            }
            #expect(nodes.count == Identity.Limits.leftIdentities + 2)
            #expect(IdentityStore.holder(dataDirectory: place) == nil)
            #expect(try IdentityStore(dataDirectory: place).identity.credentials == nil)
        }
    }

    @Test func `renewed credentials replace the old ones, and foreign ones do not`() async throws {
        try await TemporaryFolder.with { folder in
            var expected: NodeCertificate?
            do {
                let store = try IdentityStore(dataDirectory: FilePath(folder))
                let old = try store.found(try cluster(), now: now)
                let authority = try #require(store.authority)
                let later = now.advanced(by: .seconds(20 * 86_400))
                let key = NodeKey()
                let next = try TestCluster.credentials(authority, node: old.node, key: key, now: later)
                try store.replace(next)
                expected = next.certificate
                let other = try TestCluster.authority(now: now)
                #expect(throws: IdentityError.self) {
                    try store.replace(try TestCluster.credentials(other, node: old.node, now: later))
                }
                #expect(throws: IdentityError.self) {
                    try store.replace(try TestCluster.credentials(authority, node: NodeID(1), now: later))
                }
                #expect(throws: IdentityError.self) { try store.keep(other) }
            }
            #expect(try IdentityStore(dataDirectory: FilePath(folder)).identity.credentials?.certificate == expected)
        }
    }
}
