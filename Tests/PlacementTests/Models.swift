import Foundation
import GGUF
import Placement
import Testing
import Vocabulary

/// Headers of synthetic models, without their data.
enum Models {
    static func cutter(_ shape: ModelShape) throws -> ModelCutter { try ModelCutter(try shape.writer().layout().file) }

    static func footprint(_ shape: ModelShape) throws -> ModelFootprint { try ModelFootprint(try cutter(shape)) }

    /// A model of equal layers with a small vocabulary, so that layers are what counts.
    static func even(layers: Int, _ change: (inout ModelShape) -> Void = { _ in }) throws -> ModelFootprint {
        var shape = ModelShape(.llama)
        shape.layerCount = layers
        shape.width = 512
        shape.headCount = 8
        shape.headCountKV = 2
        shape.headSize = 64
        shape.feedForward = 2048
        shape.contextLength = 8192
        change(&shape)
        return try footprint(shape)
    }
}

/// Seeds of the random tests: `SEED=n` in the environment runs that seed alone, `SEEDS=n` the first n.
enum Seeds {
    static func first(_ count: Int) -> [UInt64] {
        if let seed = number("SEED") { return [seed] }
        return (1...(number("SEEDS") ?? UInt64(count))).map { $0 }
    }

    /// A debug build takes a hundred times as long.
    static var isDebug: Bool {
        var isDebug = false
        assert({ isDebug = true }() == ())
        return isDebug
    }

    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }
}

extension NodeInventory {
    /// A machine with a processor alone. **Units:** bytes, and bytes per second.
    static func simple(
        _ name: String, memory: UInt64, reads: Double? = 20e9, operations: Double? = 400e9
    ) -> NodeInventory {
        NodeInventory(
            name: name,
            devices: [
                DeviceInventory(
                    usableMemory: ByteCount(memory),
                    speed: DeviceSpeed(weightReadBytesPerSecond: reads, prefillOperationsPerSecond: operations))
            ])
    }
}

extension Inventory {
    /// Machines with equal links between all of them.
    static func meshed(_ nodes: [NodeInventory], roundTrip: Double = 0.5, rate: Double = 100e6) -> Inventory {
        Inventory(
            nodes: nodes,
            links: nodes.flatMap { from in
                nodes.filter { $0.name != from.name }.map { to in
                    LinkInventory(
                        from: from.name, to: to.name, roundTripMilliseconds: roundTrip, bytesPerSecond: rate)
                }
            })
    }
}

extension PlacementAnswer {
    var plan: PlacementPlan? {
        if case .placed(let plan) = self { return plan }
        return nil
    }

    var shortfall: Shortfall? {
        if case .shortfall(let shortfall) = self { return shortfall }
        return nil
    }
}
