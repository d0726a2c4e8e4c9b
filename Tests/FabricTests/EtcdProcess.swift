import Etcd
import Foundation
import NIOCore
import NIOPosix
import Testing

/// A real etcd on loopback with a folder of its own; stopped and started by tests, and gone with them.
final class EtcdProcess {
    private let folder: String
    private let ports: (client: Int, peer: Int)
    private var process: Process?

    /// Where Debian's package etcd-server puts it, or wherever the PATH has one; nil when there is none.
    static let program: String? = {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let folders = path.split(separator: ":").map(String.init) + ["/usr/bin", "/usr/local/bin"]
        let found = folders.map { $0 + "/etcd" }.first { FileManager.default.isExecutableFile(atPath: $0) }
        if found == nil { print("skipped: there is no etcd; apt-get install etcd-server (Scripts/setup.sh tests)") }
        return found
    }()

    static var isThere: Bool { program != nil }

    init() async throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "skein-etcd-\(UUID())").path()
        ports = (try await Self.freePort(), try await Self.freePort())
        try await start()
    }

    deinit {
        process?.terminate()
        process?.waitUntilExit()
        try? FileManager.default.removeItem(atPath: folder)
    }

    var address: String { "127.0.0.1:\(ports.client)" }

    func at(_ prefix: String = "skein", login: String = "") throws -> EtcdAddress {
        try EtcdAddress("etcd://\(login)\(address)/\(prefix)")
    }

    /// Starts it and waits until it takes requests.
    func start() async throws {
        let process = Process()
        process.executableURL = URL(filePath: try #require(Self.program))
        let (client, peer) = ("http://\(address)", "http://127.0.0.1:\(ports.peer)")
        process.arguments = [
            "--name", "test", "--data-dir", folder, "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "test=\(peer)",
            // Without waiting for a real disk; the tests never cut the power.
            "--unsafe-no-fsync", "--log-level", "info",
        ]
        let pipe = Pipe()
        process.standardError = pipe
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        self.process = process
        let (lines, sink) = AsyncStream<Bool>.makeStream()
        pipe.fileHandleForReading.readabilityHandler = { handle in
            let text = String(decoding: handle.availableData, as: UTF8.self)
            if text.isEmpty { sink.finish() }
            if text.contains("ready to serve client requests") || text.contains("serving insecure client requests") {
                sink.yield(true)
            }
        }
        let isReady = try await within(30, "etcd to be ready") {
            for await line in lines { return line }
            return false
        }
        try #require(isReady, "etcd ended while it started")
    }

    /// Ends it at once, as a loss of power would.
    func kill() {
        guard let process else { return }
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        self.process = nil
    }

    private static func freePort() async throws -> Int {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        defer { channel.close(promise: nil) }
        return try #require(channel.localAddress?.port)
    }
}
