import Foundation
import Gateway
import Testing

@testable import Node

@Suite struct `Key file` {
    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("skein-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private func key(_ name: String) -> APIKey {
        APIKey(name: name, digest: KeySecret.digest(of: name), scopes: [.inference], created: 1)
    }

    @Test func `a folder that does not exist has no keys, and gets a file only its owner reads`() throws {
        try withFolder { folder in
            let file = KeyFile(dataFolder: "\(folder)/deep/data")
            #expect(try file.current() == KeyBook())
            try file.change { book throws(KeyBookError) in try book.add(key("a")) }
            let facts = try FileManager.default.attributesOfItem(atPath: "\(folder)/deep/data/keys.json")
            #expect(facts[.posixPermissions] as? Int == 0o600)
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/deep/data").count == 2)
        }
    }

    @Test func `a reader notices every change of another, and a failed one changes nothing`() throws {
        try withFolder { folder in
            let (writer, reader) = (KeyFile(dataFolder: folder), KeyFile(dataFolder: folder))
            for number in 0..<20 {
                try writer.change { book throws(KeyBookError) in try book.add(key("\(number)")) }
                #expect(try reader.current().keys.count == number + 1)
            }
            #expect(throws: KeyBookError.self) {
                try writer.change { book throws(KeyBookError) in try book.add(key("0")) }
            }
            #expect(try reader.current().keys.count == 20)
            _ = try writer.change { book throws(KeyBookError) in try book.revoke("0", at: 3) }
            #expect(try reader.current().keys[0].revoked == 3)
            try FileManager.default.removeItem(atPath: "\(folder)/keys.json")
            #expect(try reader.current() == KeyBook())
        }
    }

    @Test func `changes at the same time are all kept`() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("skein-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<16 {
                group.addTask {
                    try KeyFile(dataFolder: folder).change { book throws(KeyBookError) in
                        try book.add(
                            APIKey(
                                name: "\(number)", digest: KeySecret.digest(of: "\(number)"), scopes: [.admin],
                                created: 1))
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try KeyFile(dataFolder: folder).current().keys.count == 16)
    }

    @Test func `a damaged file is an error until it is put right, and is not written over`() throws {
        try withFolder { folder in
            let file = KeyFile(dataFolder: folder)
            try file.change { book throws(KeyBookError) in try book.add(key("a")) }
            let good = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/keys.json"))
            try Data("{".utf8).write(to: URL(fileURLWithPath: "\(folder)/keys.json"))
            #expect(throws: KeyBookError.self) { try file.current() }
            #expect(throws: KeyBookError.self) {
                try file.change { book throws(KeyBookError) in try book.add(key("b")) }
            }
            try good.write(to: URL(fileURLWithPath: "\(folder)/keys.json"))
            #expect(try file.current().keys.count == 1)
        }
    }
}

@Suite struct `Exposure of a node` {
    private func exposure(open: Bool = false, requires: Bool = false, origins: [String] = []) -> Exposure {
        var exposure = Exposure()
        exposure.isOpen = open
        exposure.requiresKey = requires
        exposure.corsOrigins = origins
        return exposure
    }

    @Test(arguments: ["127.0.0.1", "localhost", "::1"]) func `loopback needs no key`(host: String) throws {
        for hasKey in [true, false] {
            #expect(try exposure().policy(host: host, hasValidKey: hasKey).demandsKey == false)
        }
        #expect(try exposure(requires: true).policy(host: host, hasValidKey: true).demandsKey)
        #expect(throws: ExposureError.keyDemandedButNone) {
            try exposure(requires: true).policy(host: host, hasValidKey: false)
        }
    }

    @Test(arguments: ["0.0.0.0", "::", "192.168.1.7", "skein.lan"])
    func `other addresses need a key, or that somebody says otherwise`(host: String) throws {
        #expect(throws: ExposureError.openToOthersWithoutKeys(host: host)) {
            try exposure().policy(host: host, hasValidKey: false)
        }
        let closed = try exposure().policy(host: host, hasValidKey: true)
        #expect(closed.demandsKey && closed.hostNames == [host])
        #expect(try exposure(open: true).policy(host: host, hasValidKey: false).demandsKey == false)
    }

    @Test func `what contradicts itself or is no origin is refused with a next step`() {
        #expect(throws: ExposureError.contradiction) {
            try exposure(open: true, requires: true).policy(host: "::1", hasValidKey: true)
        }
        for origin in ["chat.example", "https://", "https://chat.example/", "https://Chat.example", "://x", ""] {
            #expect(throws: ExposureError.notAnOrigin(origin)) {
                try exposure(origins: [origin]).policy(host: "::1", hasValidKey: true)
            }
        }
        let policy = try? exposure(origins: ["*", "https://chat.example:8080"]).policy(host: "::1", hasValidKey: true)
        #expect(policy?.corsOrigins.count == 2)
        for error in [
            ExposureError.openToOthersWithoutKeys(host: "h"), .keyDemandedButNone, .contradiction, .notAnOrigin("x"),
        ] {
            #expect(error.description.hasSuffix("."))
        }
    }
}
