package import Vocabulary

/// The machines a placement may use, as far as anything is known of them. What was never measured is nil, never 0.
package struct Inventory: Sendable, Hashable, Codable {
    /// The machines.
    package var nodes: [NodeInventory]
    /// Links between them, one per direction that was measured.
    package var links: [LinkInventory]

    /// Makes an inventory.
    package init(nodes: [NodeInventory], links: [LinkInventory] = []) {
        self.nodes = nodes
        self.links = links
    }
}

/// One machine.
package struct NodeInventory: Sendable, Hashable, Codable {
    /// Its name, unique within the inventory.
    package var name: String
    /// Whether it may be given work.
    package var availability: NodeAvailability
    /// What it computes with; at most one stage runs on each unless more stages are asked for than there are devices.
    package var devices: [DeviceInventory]
    /// What it can do beside its devices' own tags, such as `zone-a`.
    package var tags: [String]
    /// Layers of the model it has on disk already, shared tensors of their stages included.
    package var heldLayers: [LayerRange]

    /// Makes a machine that is available.
    package init(
        name: String, devices: [DeviceInventory], tags: [String] = [], heldLayers: [LayerRange] = [],
        availability: NodeAvailability = .available
    ) {
        self.name = name
        self.devices = devices
        self.tags = tags
        self.heldLayers = heldLayers
        self.availability = availability
    }
}

/// Whether a machine may be given work, and why not.
package enum NodeAvailability: String, Sendable, Hashable, Codable {
    /// It may.
    case available
    /// It does not answer.
    case unreachable
    /// It is being emptied.
    case draining
    /// It speaks no version of the protocol that this one speaks.
    case versionUnsupported = "version_unsupported"
    /// It could not fetch the model.
    case fetchFailed = "fetch_failed"
    /// It refused to load because memory was short.
    case refused
    /// It has no engine that works.
    case engineUnavailable = "engine_unavailable"
}

/// One device of a machine, or its processor.
package struct DeviceInventory: Sendable, Hashable, Codable {
    /// Its name, unique within the machine: `cpu`, `cuda0`.
    package var name: String
    /// What it is: `cpu`, `cuda`, `metal`, `vulkan`.
    package var kind: String
    /// Memory a stage may use: what is free, minus what is reserved for the machine itself. Nil when unknown.
    package var usableMemory: ByteCount?
    /// All of its memory; nil when unknown.
    package var totalMemory: ByteCount?
    /// How fast it is.
    package var speed: DeviceSpeed
    /// Whether its engine packs weights for a processor's matrix tiles; nil when it does not tell.
    package var tilesWeights: Bool?

    /// Makes a device.
    package init(
        name: String = "cpu", kind: String = "cpu", usableMemory: ByteCount?, totalMemory: ByteCount? = nil,
        speed: DeviceSpeed = DeviceSpeed(), tilesWeights: Bool? = nil
    ) {
        self.name = name
        self.kind = kind
        self.usableMemory = usableMemory
        self.totalMemory = totalMemory
        self.speed = speed
        self.tilesWeights = tilesWeights
    }

    /// The tag of machines whose engine computes on devices of a kind: `llama-cuda`.
    package static func tag(ofKind kind: String) -> String { "llama-\(kind)" }

    /// What a model or a request may ask of it by a tag.
    var tags: [String] { [kind, name, Self.tag(ofKind: kind)] }

    /// How weights lie in its memory.
    package var layout: WeightLayout { kind != "cpu" ? .offloaded : tilesWeights ?? false ? .tiled : .plain }
}

/// What was measured of a device.
package struct DeviceSpeed: Sendable, Hashable, Codable {
    /// How long rows take over weights of one type.
    package struct RowCost: Sendable, Hashable, Codable {
        /// The weights' type, `q4_K`.
        package var type: String
        /// Rows of the step.
        package var rows: Int
        /// Time for all of these rows over 10^9 bytes of such weights. **Units:** milliseconds.
        package var millisecondsPerGigabyte: Double

        /// Makes a measurement.
        package init(type: String, rows: Int, millisecondsPerGigabyte: Double) {
            self.type = type
            self.rows = rows
            self.millisecondsPerGigabyte = millisecondsPerGigabyte
        }
    }

    /// Rate at which one row streams through weights. **Units:** bytes per second.
    package var weightReadBytesPerSecond: Double?
    /// Rate of a long prefill. **Units:** floating-point operations per second.
    package var prefillOperationsPerSecond: Double?
    /// Rate of a single row's attention over its cache. **Units:** floating-point operations per second.
    package var attentionOperationsPerSecond: Double?
    /// Measured steps; they count more than the two rates above.
    package var rowCosts: [RowCost]

    /// Makes figures; by default nothing is known.
    package init(
        weightReadBytesPerSecond: Double? = nil, prefillOperationsPerSecond: Double? = nil,
        attentionOperationsPerSecond: Double? = nil, rowCosts: [RowCost] = []
    ) {
        self.weightReadBytesPerSecond = weightReadBytesPerSecond
        self.prefillOperationsPerSecond = prefillOperationsPerSecond
        self.attentionOperationsPerSecond = attentionOperationsPerSecond
        self.rowCosts = rowCosts
    }
}

/// A link in one direction.
package struct LinkInventory: Sendable, Hashable, Codable {
    /// The sender.
    package var from: String
    /// The receiver.
    package var to: String
    /// There and back. **Units:** milliseconds; nil when unknown.
    package var roundTripMilliseconds: Double?
    /// **Units:** bytes per second; nil when unknown.
    package var bytesPerSecond: Double?

    /// Makes a link.
    package init(from: String, to: String, roundTripMilliseconds: Double?, bytesPerSecond: Double?) {
        self.from = from
        self.to = to
        self.roundTripMilliseconds = roundTripMilliseconds
        self.bytesPerSecond = bytesPerSecond
    }
}

extension Inventory {
    /// Refuses what no arithmetic is right for.
    ///
    /// **Throws:** `PlacementError.invalid` with the field, its value and the limit.
    package func check() throws(PlacementError) {
        guard nodes.count <= PlacementLimits.nodeCountMax else {
            throw .invalid(
                field: "nodes", value: "\(nodes.count)", limit: "at most \(PlacementLimits.nodeCountMax) are taken")
        }
        guard links.count <= PlacementLimits.nodeCountMax * PlacementLimits.nodeCountMax else {
            throw .invalid(field: "links", value: "\(links.count)", limit: "at most one per pair of nodes is taken")
        }
        let names = nodes.map(\.name).sorted()
        if let twice = zip(names, names.dropFirst()).first(where: { $0 == $1 }) {
            throw .invalid(field: "nodes.name", value: "'\(twice.0)' twice", limit: "names are unique")
        }
        for node in nodes {
            try Self.check(node)
        }
        for link in links {
            let field = "links.\(link.from)→\(link.to)"
            try Self.check(link.roundTripMilliseconds, "\(field).rtt_ms", 0...PlacementLimits.roundTripMax)
            try Self.check(link.bytesPerSecond, "\(field).bandwidth", PlacementLimits.rates)
        }
    }

    private static func check(_ node: NodeInventory) throws(PlacementError) {
        guard !node.name.isEmpty, node.devices.count <= PlacementLimits.devicesPerNodeMax else {
            throw .invalid(
                field: "nodes.\(node.name).devices", value: "\(node.devices.count)",
                limit: "a node has a name and at most \(PlacementLimits.devicesPerNodeMax) devices")
        }
        for device in node.devices {
            let field = "nodes.\(node.name).\(device.name)"
            try check(device.speed.weightReadBytesPerSecond, "\(field).weight_read", PlacementLimits.rates)
            try check(device.speed.prefillOperationsPerSecond, "\(field).prefill", PlacementLimits.rates)
            try check(device.speed.attentionOperationsPerSecond, "\(field).attention", PlacementLimits.rates)
            for memory in [device.usableMemory, device.totalMemory] {
                guard let memory, memory.bytes > PlacementLimits.memoryMax else { continue }
                throw .invalid(field: "\(field).memory", value: "\(memory)", limit: "at most 1 PiB is taken")
            }
            for cost in device.speed.rowCosts {
                try check(cost.millisecondsPerGigabyte, "\(field).row_costs.\(cost.type)", PlacementLimits.rowCosts)
                guard (1...PlacementLimits.rowsMax).contains(cost.rows) else {
                    throw .invalid(
                        field: "\(field).row_costs.rows", value: "\(cost.rows)",
                        limit: "1 … \(PlacementLimits.rowsMax) are allowed")
                }
            }
        }
    }

    private static func check(
        _ value: Double?, _ field: String, _ range: ClosedRange<Double>
    ) throws(PlacementError) {
        // What is no number is in no range.
        guard let value, !range.contains(value) else { return }
        throw .invalid(
            field: field, value: "\(value)",
            limit: "it is \(range.lowerBound) … \(range.upperBound), or left out when unknown")
    }
}
