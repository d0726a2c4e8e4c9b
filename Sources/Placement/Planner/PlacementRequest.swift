package import Vocabulary

/// What is to be placed, and what the user has decided already.
package struct PlacementRequest: Sendable, Hashable, Codable {
    /// Layers that must be on one machine.
    package struct Pin: Sendable, Hashable, Codable {
        /// The layers.
        package var layers: LayerRange
        /// The machine's name.
        package var node: String

        /// Pins layers to a machine.
        package init(layers: LayerRange, node: String) {
            self.layers = layers
            self.node = node
        }
    }

    /// Context asked for; nil takes what fits, up to what the model was trained for. **Units:** tokens.
    package var context: Int?
    /// Sequences at once.
    package var lanes: Int
    /// Largest number of rows per step.
    package var rows: Int
    /// Type of the K cache.
    package var keys: CacheFormat
    /// Type of the V cache.
    package var values: CacheFormat
    /// Number of stages asked for; nil takes the fastest.
    package var stages: Int?
    /// First layers of the stages behind the first, when the user cuts himself.
    package var boundaries: [Int]?
    /// Machines that may be used; empty means all.
    package var on: [String]
    /// Machines that may not be used.
    package var exclude: [String]
    /// Layers tied to machines.
    package var pins: [Pin]
    /// Tags a device or its machine must have.
    package var requiredTags: [String]
    /// Tags that are preferred where nothing else decides.
    package var preferredTags: [String]
    /// Copies of the placement.
    package var replicas: Int
    /// Bytes of one element between stages: 4 for the f32 wire.
    package var wireBytesPerElement: Double
    /// Sequences of ended requests that are kept, where the model allows it.
    package var kept = 0
    /// What the projector takes beside the first stage; 0 for a model that reads text alone.
    package var projector = ByteCount(0)
    /// How the last stage runs the model's own head for several tokens; nil where nobody asks for guesses of it.
    package var head: HeadSettings?

    /// Makes a request with what `skein serve` uses.
    package init(
        context: Int? = nil, lanes: Int = 4, rows: Int = 512, keys: CacheFormat = .f16, values: CacheFormat = .f16,
        stages: Int? = nil, boundaries: [Int]? = nil, on: [String] = [], exclude: [String] = [], pins: [Pin] = [],
        requiredTags: [String] = [], preferredTags: [String] = [], replicas: Int = 1, wireBytesPerElement: Double = 4
    ) {
        self.context = context
        self.lanes = lanes
        self.rows = rows
        self.keys = keys
        self.values = values
        self.stages = stages
        self.boundaries = boundaries
        self.on = on
        self.exclude = exclude
        self.pins = pins
        self.requiredTags = requiredTags
        self.preferredTags = preferredTags
        self.replicas = replicas
        self.wireBytesPerElement = wireBytesPerElement
    }

    /// Memory settings of a stage with a context.
    func settings(cells: Int, _ layout: WeightLayout = .plain) -> MemorySettings {
        MemorySettings(
            cells: cells, lanes: lanes, kept: kept, rows: rows, keys: keys, values: values, layout: layout,
            projector: projector, head: head)
    }
}

/// How placements are weighed. The defaults are measured or chosen figures; `docs/internals/placement.md` says which.
package struct PlacementPolicy: Sendable, Hashable, Codable {
    /// Share of what weights and buffers leave that a context chosen by the planner may fill; the rest stays free.
    package var cacheShare = 0.85
    /// The smallest context a model is placed with unasked. **Units:** tokens.
    package var contextFloor = 4096
    /// How much slower a placement with more context may be than the fastest one.
    package var contextTolerance = 0.05
    /// Tokens of the prompt of a typical request.
    package var promptTokens = 512
    /// Tokens of its answer.
    package var answerTokens = 256
    /// What a stage costs per step beside reading its weights. **Units:** milliseconds.
    package var stageMilliseconds = 0.15
    /// What a hop between two stages of one machine costs. **Units:** milliseconds.
    package var localHopMilliseconds = 0.06
    /// What a machine's work costs per hop beside the wire's own time. **Units:** milliseconds.
    package var hopMilliseconds = 0.05
    /// Stands in for a device's rate that was not measured. **Units:** bytes per second.
    package var assumedReadBytesPerSecond = 10e9
    /// Stands in for a prefill rate that was not measured. **Units:** operations per second.
    package var assumedOperationsPerSecond = 100e9
    /// Stands in for a link's round trip. **Units:** milliseconds.
    package var assumedRoundTripMilliseconds = 1.0
    /// Stands in for a link's rate. **Units:** bytes per second.
    package var assumedLinkBytesPerSecond = 100e6
    /// Partial placements kept per device and boundary; nil chooses by the number of devices.
    package var labelsPerState: Int?

    /// The defaults above.
    package init() {}
}
