import FoundationEssentials
import GGUF
import ModelStore
import Placement
import Vocabulary

/// Machines described in a file, for what-if planning.
struct InventoryFile: Decodable {
    struct Node: Decodable {
        var name: String
        var memory_gb: Double?
        var weight_read_gb_s: Double?
        var prefill_gflops: Double?
        var row_costs: [RowCost]?
        var kind: String?
        var device: String?
        var tags: [String]?
        var held_layers: [[Int]]?
        var availability: NodeAvailability?
        var devices: [Device]?
    }

    struct Device: Decodable {
        var name: String
        var kind: String?
        var memory_gb: Double?
        var weight_read_gb_s: Double?
        var prefill_gflops: Double?
        var row_costs: [RowCost]?
    }

    struct RowCost: Decodable {
        var type: String
        var rows: Int
        var ms_per_gb: Double
    }

    struct Link: Decodable {
        var from: String
        var to: String
        var rtt_ms: Double?
        var mb_s: Double?
    }

    var nodes: [Node]
    var links: [Link]?

    /// Largest inventory that is read. **Units:** bytes.
    private static let byteCountMax = 64 << 20

    static func read(_ path: String) throws -> Inventory {
        let data: Data
        do {
            let source = try FileByteSource(path: path)
            guard source.byteCount <= UInt64(byteCountMax) else {
                throw PlacementError.invalid(
                    field: "--nodes", value: "\(source.byteCount) bytes", limit: "at most \(byteCountMax) are read")
            }
            data = Data(try source.read(at: 0, count: Int(source.byteCount)))
        }
        do {
            return try JSONDecoder().decode(InventoryFile.self, from: data).inventory()
        } catch let error as DecodingError {
            throw PlacementError.invalid(
                field: "--nodes", value: path,
                limit: "it is no inventory (\(Self.reason(error))); see skein plan --help")
        }
    }

    private static func reason(_ error: DecodingError) -> String {
        switch error {
        case .keyNotFound(let key, let context):
            "\(Self.place(context.codingPath)) lacks '\(key.stringValue)'"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            "\(Self.place(context.codingPath)) is of another type"
        case .dataCorrupted(let context):
            context.codingPath.isEmpty ? "not JSON" : "\(Self.place(context.codingPath)) is not allowed"
        @unknown default: "not JSON of this form"
        }
    }

    private static func place(_ path: [any CodingKey]) -> String {
        path.isEmpty
            ? "it" : path.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
    }

    private func inventory() throws -> Inventory {
        Inventory(
            nodes: try nodes.map { node in
                let own = Device(
                    name: node.device ?? node.kind ?? "cpu", kind: node.kind, memory_gb: node.memory_gb,
                    weight_read_gb_s: node.weight_read_gb_s, prefill_gflops: node.prefill_gflops,
                    row_costs: node.row_costs)
                return NodeInventory(
                    name: node.name, devices: try (node.devices ?? [own]).map { try Self.device($0, of: node.name) },
                    tags: node.tags ?? [],
                    heldLayers: try (node.held_layers ?? []).map { try Self.range($0, node.name) },
                    availability: node.availability ?? .available)
            },
            links: (links ?? []).map {
                LinkInventory(
                    from: $0.from, to: $0.to, roundTripMilliseconds: $0.rtt_ms, bytesPerSecond: $0.mb_s.map { $0 * 1e6 }
                )
            })
    }

    private static func range(_ ends: [Int], _ node: String) throws -> LayerRange {
        guard ends.count == 2, ends[0] >= 0, ends[0] < ends[1], ends[1] <= PlacementLimits.layerCountMax else {
            throw PlacementError.invalid(
                field: "nodes.\(node).held_layers", value: "\(ends)", limit: "it lists pairs of first and end layer")
        }
        return LayerRange(first: ends[0], end: ends[1])
    }

    private static func device(_ device: Device, of node: String) throws -> DeviceInventory {
        if let memory = device.memory_gb, !(memory >= 0 && memory <= 1e6) {
            throw PlacementError.invalid(
                field: "nodes.\(node).memory_gb", value: "\(memory)", limit: "0 … 1000000 are allowed")
        }
        return DeviceInventory(
            name: device.name, kind: device.kind ?? "cpu",
            usableMemory: device.memory_gb.map { ByteCount(UInt64($0 * 1e9)) },
            speed: DeviceSpeed(
                weightReadBytesPerSecond: device.weight_read_gb_s.map { $0 * 1e9 },
                prefillOperationsPerSecond: device.prefill_gflops.map { $0 * 1e9 },
                rowCosts: (device.row_costs ?? []).map {
                    DeviceSpeed.RowCost(type: $0.type, rows: $0.rows, millisecondsPerGigabyte: $0.ms_per_gb)
                }))
    }
}
