import GGUF
import Vocabulary

/// Who takes part in a search, and who does not and why.
struct Entrants {
    /// Devices that take part, most memory first.
    private(set) var seats: [Seat] = []
    private(set) var excluded: [Exclusion] = []

    init(
        _ model: ModelFootprint, _ inventory: Inventory, _ request: PlacementRequest, without: [String],
        occupied: [Planner.TakenMemory]
    ) {
        let smallest = Self.smallestStage(model, request)
        let required = request.requiredTags + model.tags.required
        let preferred = request.preferredTags + model.tags.preferred
        for (place, node) in inventory.nodes.enumerated() {
            if let reason = Self.reason(node, request, without) {
                excluded.append(Exclusion(node: node.name, device: nil, reason: reason, detail: nil))
                continue
            }
            for (number, device) in node.devices.enumerated() {
                let tags = node.tags + device.tags
                func exclude(_ reason: Exclusion.Reason, _ detail: String? = nil) {
                    excluded.append(Exclusion(node: node.name, device: device.name, reason: reason, detail: detail))
                }
                if let tag = required.first(where: { !tags.contains($0) }) {
                    exclude(.missingTag, tag)
                    continue
                }
                guard let memory = device.usableMemory else {
                    exclude(.memoryUnknown)
                    continue
                }
                let taken = occupied.filter { $0.node == node.name && $0.device == device.name }
                    .reduce(0) { $0 + $1.bytes }
                let free = memory.bytes - min(memory.bytes, taken)
                guard free >= smallest else {
                    exclude(.tooSmall, "\(ByteCount(free))")
                    continue
                }
                seats.append(
                    Seat(
                        node: place, device: number, memory: Int64(free), layout: device.layout,
                        misses: Int32(preferred.filter { !tags.contains($0) }.count)))
            }
        }
        // Nodes and devices keep their order among equals, so that the answer depends on the inventory alone.
        seats.sort { ($1.memory, $0.node, $0.device) < ($0.memory, $1.node, $1.device) }
        for seat in seats.dropFirst(PlacementLimits.seatCountMax) {
            let node = inventory.nodes[seat.node]
            excluded.append(
                Exclusion(node: node.name, device: node.devices[seat.device].name, reason: .tooMany, detail: nil))
        }
        seats = Array(seats.prefix(PlacementLimits.seatCountMax))
    }

    private static func reason(
        _ node: NodeInventory, _ request: PlacementRequest, _ without: [String]
    ) -> Exclusion.Reason? {
        if request.exclude.contains(node.name) { return .excludedByUser }
        if !request.on.isEmpty, !request.on.contains(node.name) { return .notNamed }
        switch node.availability {
        case .available: break
        case .unreachable: return .unreachable
        case .draining: return .draining
        case .versionUnsupported: return .versionUnsupported
        case .fetchFailed: return .fetchFailed
        case .refused: return .refused
        case .engineUnavailable: return .engineUnavailable
        }
        if without.contains(node.name) { return .usedByReplica }
        return node.devices.isEmpty ? .noDevice : nil
    }

    /// Bytes of the smallest legal stage with the least context, below which a device is of no use.
    private static func smallestStage(_ model: ModelFootprint, _ request: PlacementRequest) -> UInt64 {
        let settings = request.settings(cells: 256)
        var smallest = UInt64.max
        for first in 0..<model.layerCount {
            guard let end = (first + 1...model.layerCount).first(where: { model.legal[first][$0] }) else { continue }
            let footprint = model.stage(LayerRange(first: first, end: end), settings)
            smallest = min(smallest, footprint.total.bytes)
        }
        return smallest
    }
}
