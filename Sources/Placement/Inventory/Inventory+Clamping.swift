import Vocabulary

extension Inventory {
    /// The same with every figure within its limits: for figures that others told, where one member's nonsense must not
    /// keep all others from being planned with. What is no number is unknown.
    package func clamped() -> Inventory {
        var inventory = self
        for index in inventory.links.indices {
            let link = inventory.links[index]
            inventory.links[index].roundTripMilliseconds = Self.clamped(
                link.roundTripMilliseconds, 0...PlacementLimits.roundTripMax)
            inventory.links[index].bytesPerSecond = Self.clamped(link.bytesPerSecond, PlacementLimits.rates)
        }
        for node in inventory.nodes.indices {
            for device in inventory.nodes[node].devices.indices {
                Self.clamp(&inventory.nodes[node].devices[device])
            }
        }
        return inventory
    }

    private static func clamp(_ device: inout DeviceInventory) {
        device.usableMemory = device.usableMemory.map { min($0, ByteCount(PlacementLimits.memoryMax)) }
        device.totalMemory = device.totalMemory.map { min($0, ByteCount(PlacementLimits.memoryMax)) }
        var speed = device.speed
        speed.weightReadBytesPerSecond = clamped(speed.weightReadBytesPerSecond, PlacementLimits.rates)
        speed.prefillOperationsPerSecond = clamped(speed.prefillOperationsPerSecond, PlacementLimits.rates)
        speed.attentionOperationsPerSecond = clamped(speed.attentionOperationsPerSecond, PlacementLimits.rates)
        speed.rowCosts = speed.rowCosts.compactMap { cost in
            let time = clamped(cost.millisecondsPerGigabyte, PlacementLimits.rowCosts)
            guard let time, (1...PlacementLimits.rowsMax).contains(cost.rows) else { return nil }
            return DeviceSpeed.RowCost(type: cost.type, rows: cost.rows, millisecondsPerGigabyte: time)
        }
        device.speed = speed
    }

    private static func clamped(_ value: Double?, _ range: ClosedRange<Double>) -> Double? {
        guard let value, !value.isNaN else { return nil }
        return min(max(value, range.lowerBound), range.upperBound)
    }
}
