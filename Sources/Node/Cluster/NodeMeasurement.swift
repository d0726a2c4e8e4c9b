package import Cluster
package import Placement
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What a node tells the others of itself.
package struct NodeMeasurement: Sendable {
    private let node: NodeID
    private let folder: String
    private let inventory: @Sendable () -> Inventory
    private let holds: @Sendable () -> [String]

    /// Measures this machine; free disk is that of `folder`, `holds` lists the digests of the models it has.
    package init(
        node: NodeID, folder: String, holds: @escaping @Sendable () -> [String] = { [] },
        inventory: @escaping @Sendable () -> Inventory = MachineInventory.thisMachine
    ) {
        self.node = node
        self.folder = folder
        self.inventory = inventory
        self.holds = holds
    }

    /// A reading of now. What cannot be measured stays nil; links are added by the control channel.
    package func reading() -> NodeReading {
        var reading = NodeReading(node: node)
        // One stage runs on one device: the largest that is known.
        let devices = inventory().nodes.first?.devices ?? []
        let device = devices.max { ($0.usableMemory?.bytes ?? 0) < ($1.usableMemory?.bytes ?? 0) }
        reading.usableBytes = device?.usableMemory?.bytes
        reading.totalBytes = device?.totalMemory?.bytes
        reading.weightBytesPerSecond = device?.speed.weightReadBytesPerSecond.flatMap { UInt64(exactly: $0.rounded()) }
        var disk = statvfs()
        if statvfs(folder, &disk) == 0 { reading.freeDiskBytes = UInt64(disk.f_bavail) * UInt64(disk.f_frsize) }
        reading.holds = Array(holds().prefix(Cluster.Limits.listCount))
        return reading
    }
}
