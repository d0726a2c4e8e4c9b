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
    private let figures: @Sendable () -> DeviceFigures?

    /// Measures this machine; free disk is that of `folder`, `holds` lists the digests of the models it has, `figures`
    /// tells how fast its device is, once that is known.
    package init(
        node: NodeID, folder: String, holds: @escaping @Sendable () -> [String] = { [] },
        figures: @escaping @Sendable () -> DeviceFigures? = { nil },
        inventory: @escaping @Sendable () -> Inventory = { MachineInventory.thisMachine() }
    ) {
        self.node = node
        self.folder = folder
        self.inventory = inventory
        self.holds = holds
        self.figures = figures
    }

    /// A reading of now. What cannot be measured stays nil; links are added by the control channel.
    package func reading() -> NodeReading {
        var reading = NodeReading(node: node)
        // One stage runs on one device: the largest that is known.
        let devices = inventory().nodes.first?.devices ?? []
        let device = devices.max { ($0.usableMemory?.bytes ?? 0) < ($1.usableMemory?.bytes ?? 0) }
        reading.usableBytes = device?.usableMemory?.bytes
        reading.totalBytes = device?.totalMemory?.bytes
        if let speed = figures()?.speed { reading.tell(speed) }
        var disk = statvfs()
        if statvfs(folder, &disk) == 0 { reading.freeDiskBytes = UInt64(disk.f_bavail) * UInt64(disk.f_frsize) }
        reading.holds = Array(holds().prefix(Cluster.Limits.listCount))
        return reading
    }
}

extension NodeReading {
    /// Takes in how fast the node's device is. Times of several rows have no place in a reading.
    mutating func tell(_ speed: DeviceSpeed) {
        func whole(_ rate: Double?) -> UInt64? { rate.flatMap { UInt64(exactly: $0.rounded()) } }
        weightBytesPerSecond = whole(speed.weightReadBytesPerSecond)
        prefillOperationsPerSecond = whole(speed.prefillOperationsPerSecond)
        attentionOperationsPerSecond = whole(speed.attentionOperationsPerSecond)
        weightRates = speed.rowCosts.filter { $0.rows == 1 && $0.millisecondsPerGigabyte > 0 }.compactMap { cost in
            guard cost.type.utf8.count <= Cluster.Limits.rateTypeBytes else { return nil }
            return whole(1e12 / cost.millisecondsPerGigabyte).map { WeightRate(type: cost.type, bytesPerSecond: $0) }
        }
        weightRates = Array(weightRates.prefix(Cluster.Limits.reportedRates))
    }

    /// How fast the node's device is, as far as the reading tells. Zeros are left out.
    var speed: DeviceSpeed {
        func rate(_ told: UInt64?) -> Double? { told.flatMap { $0 > 0 ? Double($0) : nil } }
        return DeviceSpeed(
            weightReadBytesPerSecond: rate(weightBytesPerSecond),
            prefillOperationsPerSecond: rate(prefillOperationsPerSecond),
            attentionOperationsPerSecond: rate(attentionOperationsPerSecond),
            rowCosts: weightRates.compactMap { told in
                rate(told.bytesPerSecond).map { .init(type: told.type, rows: 1, millisecondsPerGigabyte: 1e12 / $0) }
            })
    }
}
