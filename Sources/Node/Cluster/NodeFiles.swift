import Cluster
import Fabric
import FoundationEssentials
import Identity
import NIOCore
import NIOPosix

/// The note that this node is founding a cluster: as long as it is there, an empty memory means a new cluster. A
/// founder whose memory is lost later must not found a second one of the same name.
struct Founding: Sendable {
    private let path: String

    init(folder: String) { path = "\(folder)/founding" }

    var isUnderWay: Bool { FileManager.default.fileExists(atPath: path) }

    /// Begins, before there is an identity.
    func begin() throws(IdentityError) {
        do {
            try Data().write(to: URL(filePath: path))
        } catch {
            throw .file(path: path, action: "write", reason: "\(error)")
        }
    }

    /// The log has begun.
    func end() { try? FileManager.default.removeItem(atPath: path) }
}

/// The number of this life of the node: higher than that of every earlier one, and close to the wall clock, so that a
/// lost file does not matter.
enum BootNumber {
    static func next(in folder: String) throws(IdentityError) -> UInt64 {
        let path = "\(folder)/boot"
        let last = (try? String(contentsOfFile: path, encoding: .utf8)).flatMap { UInt64($0) } ?? 0
        let number = max(last &+ 1, UInt64(clamping: WallTime.current.milliseconds))
        do {
            try Data("\(number)".utf8).write(to: URL(filePath: path), options: .atomic)
        } catch {
            throw .file(path: path, action: "write", reason: "\(error)")
        }
        return number
    }
}

/// Finds out whether a port can be had.
enum FreePort {
    /// The port itself, when it is free; else any, when the node may move.
    ///
    /// **Throws:** `FabricError` when it is taken and the node may not move.
    static func choose(
        _ port: Int, host: String, for kind: FabricError.Port, mayMove: Bool
    ) async throws(FabricError) -> Int {
        do {
            return try await probe(port, host)
        } catch {
            guard mayMove, let other = try? await probe(0, host) else {
                throw FabricError(kind, address: "\(host):\(port)", error)
            }
            return other
        }
    }

    private static func probe(_ port: Int, _ host: String) async throws -> Int {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1).bind(host: host, port: port).get()
        let free = channel.localAddress?.port ?? port
        try await channel.close().get()
        return free
    }
}

extension ClusterSettings {
    /// The port these settings name for something, or another one that is free when the node may move.
    func freePort(_ kind: FabricError.Port) async throws(FabricError) -> Int {
        let wanted =
            switch kind {
            case .cluster: port
            case .data: dataPort
            }
        return try await FreePort.choose(wanted, host: host, for: kind, mayMove: mayMove)
    }
}
