package import Vocabulary

/// How a stage fares on its node.
package enum StageStatus: UInt8, Sendable, Comparable {
    /// The model's bytes are being brought here.
    case fetching = 0
    /// The stage file is there and being loaded.
    case loading = 1
    /// Loaded, and ready for a canary token.
    case loaded = 2
    /// A canary token went through the whole chain; said by the entry stage.
    case proven = 3
    /// Takes requests.
    case serving = 4
    /// Takes no new requests and ends those it has.
    case draining = 5
    /// Has no requests left.
    case drained = 6
    /// The node could not fetch the model.
    case fetchFailed = 7
    /// The node has too little memory now.
    case refused = 8
    /// The runner ended by itself.
    case crashed = 9
    /// The canary token did not come back.
    case unproven = 10
    /// The node has accepted a higher epoch of the same replica.
    case fenced = 11
    /// A neighbour's end took the stage along: its link broke, or could not be opened.
    case detached = 12

    /// Whether this stage will not serve any more.
    package var isFailure: Bool { self >= .fetchFailed }

    /// Orders by what comes after what in a stage's life.
    package static func < (left: StageStatus, right: StageStatus) -> Bool { left.rawValue < right.rawValue }
}

/// What a node says about a stage it runs.
package struct StageReport: Hashable, Sendable, Recordable {
    /// Of which epoch.
    package var epoch: Epoch
    /// How it fares.
    package var status: StageStatus
    /// Progress of fetching or loading. **Units:** thousandths.
    package var progress: UInt32 = 0
    /// Time since the last request; nil while one runs or when unknown. **Units:** milliseconds.
    package var idleMilliseconds: UInt64?
    /// One sentence, when the status needs it.
    package var reason: String = ""

    /// Makes a report.
    package init(epoch: Epoch, status: StageStatus, reason: String = "") {
        self.epoch = epoch
        self.status = status
        self.reason = reason
    }

    func write(to writer: inout RecordWriter) {
        writer.put(epoch)
        writer.put(UInt64(status.rawValue))
        writer.put(UInt64(progress))
        writer.put(optional: idleMilliseconds)
        writer.put(reason)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        epoch = try reader.record("report.epoch")
        let value = try reader.number("report.status")
        guard let status = UInt8(exactly: value).flatMap(StageStatus.init) else {
            throw .invalidValue(field: "report.status", offset: reader.offset, value: value)
        }
        self.status = status
        progress = try reader.number32("report.progress")
        idleMilliseconds = try reader.optionalNumber("report.idle")
        reason = try reader.text("report.reason")
    }
}

/// A measured direction of a link.
package struct LinkReading: Hashable, Sendable, Recordable {
    /// To whom.
    package var peer: NodeID
    /// Round trip. **Units:** microseconds.
    package var roundTripMicroseconds: UInt64?
    /// Measured from real traffic. **Units:** bytes per second.
    package var bytesPerSecond: UInt64?

    /// Makes a reading; what was not measured stays nil.
    package init(peer: NodeID, roundTripMicroseconds: UInt64?, bytesPerSecond: UInt64?) {
        self.peer = peer
        self.roundTripMicroseconds = roundTripMicroseconds
        self.bytesPerSecond = bytesPerSecond
    }

    func write(to writer: inout RecordWriter) {
        writer.put(peer)
        writer.put(optional: roundTripMicroseconds)
        writer.put(optional: bytesPerSecond)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        peer = try reader.record("link.peer")
        roundTripMicroseconds = try reader.optionalNumber("link.rtt")
        bytesPerSecond = try reader.optionalNumber("link.bandwidth")
    }
}

/// A device of a node on which its engine can compute.
package struct DeviceReading: Hashable, Sendable, Recordable {
    /// The engine's name for it, as `--device` takes it.
    package var name: String
    /// What computes there: `cpu`, `cuda`, `metal`, `vulkan`, …
    package var compute: String
    /// Its memory in all; nil when it does not tell. **Units:** bytes.
    package var totalBytes: UInt64?

    /// Makes a reading.
    package init(name: String, compute: String, totalBytes: UInt64?) {
        self.name = name
        self.compute = compute
        self.totalBytes = totalBytes
    }

    func write(to writer: inout RecordWriter) {
        writer.put(name)
        writer.put(compute)
        writer.put(optional: totalBytes)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        name = try reader.text("device.name")
        compute = try reader.text("device.compute")
        totalBytes = try reader.optionalNumber("device.total")
    }
}

/// How fast a node's device reads weights of one type.
package struct WeightRate: Hashable, Sendable, Recordable {
    /// The type, as model files' tools call it: `q8_0`.
    package var type: String
    /// Rate of a single row. **Units:** bytes of such weights per second.
    package var bytesPerSecond: UInt64

    /// Makes a rate.
    package init(type: String, bytesPerSecond: UInt64) {
        self.type = type
        self.bytesPerSecond = bytesPerSecond
    }

    func write(to writer: inout RecordWriter) {
        writer.put(type)
        writer.put(bytesPerSecond)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        type = try reader.text("rate.type", limit: Limits.rateTypeBytes)
        bytesPerSecond = try reader.number("rate.speed")
    }
}

/// Telemetry of a node: the latest wins, nothing of it enters the log, and what is unknown stays nil.
package struct NodeReading: Hashable, Sendable, Recordable {
    /// Whose.
    package var node: NodeID
    /// When it was taken; the latest wins.
    package var stamp = Stamp.zero
    /// Memory a stage could take now: what is available minus the reserve. **Units:** bytes.
    package var usableBytes: UInt64?
    /// Memory in all. **Units:** bytes.
    package var totalBytes: UInt64?
    /// Free disk for models. **Units:** bytes.
    package var freeDiskBytes: UInt64?
    /// Speed of the node's device by the start-up benchmark. **Units:** bytes of weights read per second.
    package var weightBytesPerSecond: UInt64?
    /// The same for types of weights that were measured; the rate above is that of the others.
    package var weightRates: [WeightRate] = []
    /// Speed of prompts by the same benchmark. **Units:** floating-point operations per second.
    package var prefillOperationsPerSecond: UInt64?
    /// Speed of a single row's attention. **Units:** floating-point operations per second.
    package var attentionOperationsPerSecond: UInt64?
    /// Whether its processor packs weights for matrix tiles, which take more memory then; nil when it does not tell.
    package var tilesWeights: Bool?
    /// Digests of models and fragments it holds, in the node's order of preference.
    package var holds: [String] = []
    /// Links it has measured.
    package var links: [LinkReading] = []
    /// Stages it runs, ascending by epoch; written by the control plane itself.
    package var stages: [StageReport] = []
    /// Devices its stages may compute on; empty while unknown.
    package var devices: [DeviceReading] = []

    /// Knows nothing yet.
    package init(node: NodeID) { self.node = node }

    func write(to writer: inout RecordWriter) {
        writer.put(node)
        writer.put(stamp)
        writer.put(optional: usableBytes)
        writer.put(optional: totalBytes)
        writer.put(optional: freeDiskBytes)
        writer.put(optional: weightBytesPerSecond)
        writer.put(texts: holds)
        writer.put(list: links)
        writer.put(list: stages)
        writer.put(list: devices)
        writeRates(to: &writer)
    }

    /// Writes what was added to readings later: how fast its devices are.
    func writeRates(to writer: inout RecordWriter) {
        writer.put(list: weightRates)
        writer.put(optional: prefillOperationsPerSecond)
        writer.put(optional: attentionOperationsPerSecond)
        writer.put(optional: tilesWeights.map { $0 ? 1 : 0 })
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        node = try reader.record("reading.node")
        stamp = try reader.record("reading.stamp")
        usableBytes = try reader.optionalNumber("reading.usable")
        totalBytes = try reader.optionalNumber("reading.total")
        freeDiskBytes = try reader.optionalNumber("reading.disk")
        weightBytesPerSecond = try reader.optionalNumber("reading.speed")
        holds = try reader.texts("reading.holds")
        links = try reader.list("reading.links", limit: Limits.reportedLinks)
        stages = try reader.list("reading.stages", limit: Limits.reportedStages)
        devices = reader.isAtEnd ? [] : try reader.list("reading.devices", limit: Limits.reportedDevices)
        if !reader.isAtEnd { try readRates(from: &reader) }
    }

    /// Reads what `writeRates` wrote.
    mutating func readRates(from reader: inout RecordReader) throws(CodecError) {
        weightRates = try reader.list("reading.rates", limit: Limits.reportedRates)
        prefillOperationsPerSecond = try reader.optionalNumber("reading.prefill")
        attentionOperationsPerSecond = try reader.optionalNumber("reading.attention")
        tilesWeights = try reader.optionalNumber("reading.tiles").map { $0 > 0 }
    }

    /// The reading with what does not fit a message left out: links and holdings go first, then the reasons.
    func bounded() -> NodeReading {
        var reading = self
        reading.holds = Array(reading.holds.prefix(Limits.listCount))
        reading.links = Array(reading.links.prefix(Limits.reportedLinks))
        reading.stages = Array(reading.stages.suffix(Limits.reportedStages))
        reading.devices = Array(reading.devices.prefix(Limits.reportedDevices))
        reading.weightRates = Array(reading.weightRates.prefix(Limits.reportedRates))
        var size = reading.encoded.count
        while size > Limits.readingBytes, !(reading.holds.isEmpty && reading.links.isEmpty) {
            reading.holds.removeLast(min(reading.holds.count, max(1, reading.holds.count / 2)))
            reading.links.removeLast(min(reading.links.count, max(1, reading.links.count / 2)))
            size = reading.encoded.count
        }
        if size > Limits.readingBytes {
            reading.devices = []
            for index in reading.stages.indices { reading.stages[index].reason = "" }
        }
        return reading
    }
}
