import Vocabulary

/// A part of a node's telemetry that is told by itself, so that what changes often does not take along what does not.
package enum ReadingPart: UInt8, Sendable, CaseIterable {
    /// Memory and disk; drift all the time.
    case figures = 0
    /// What its stages do.
    case stages = 1
    /// Models it holds.
    case holds = 2
    /// Links it has measured; drift all the time.
    case links = 3
    /// Its devices, and how fast they are.
    case devices = 4

    /// Whether others have to know the part as it is, while of drifting parts the latest will do.
    var isKind: Bool { self == .stages || self == .holds || self == .devices }
}

/// One part of a node's telemetry: of each part the latest counts.
package struct ReadingNews: Hashable, Sendable, Recordable {
    /// Which part; nil for one of a newer release, which is passed over.
    package var part: ReadingPart?
    /// Whose, when it was taken, and the part; nothing else in it counts.
    package var reading: NodeReading

    init(_ part: ReadingPart, of reading: NodeReading, at version: ReadingVersion) {
        self.part = part
        self.reading = NodeReading(node: reading.node)
        self.reading.take(part, from: reading)
        self.reading.stamp = version.stamp(of: reading.node)
    }

    func write(to writer: inout RecordWriter) {
        writer.put(reading.node.value)
        writer.put(ReadingVersion(reading.stamp).value)
        writer.put(UInt64((part ?? .figures).rawValue))
        switch part {
        case .figures:
            writer.put(optional: reading.usableBytes)
            writer.put(optional: reading.totalBytes)
            writer.put(optional: reading.freeDiskBytes)
        case .stages: writer.put(list: reading.stages)
        case .holds: writer.put(texts: reading.holds)
        case .links: writer.put(list: reading.links)
        case .devices: reading.writeDevices(to: &writer)
        case nil: break
        }
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        reading = NodeReading(node: NodeID(try reader.number("news.node")))
        reading.stamp = ReadingVersion(value: try reader.number("news.version")).stamp(of: reading.node)
        part = UInt8(exactly: try reader.number("news.part")).flatMap(ReadingPart.init)
        switch part {
        case .figures:
            reading.usableBytes = try reader.optionalNumber("news.usable")
            reading.totalBytes = try reader.optionalNumber("news.total")
            reading.freeDiskBytes = try reader.optionalNumber("news.disk")
        case .stages: reading.stages = try reader.list("news.stages", limit: Limits.reportedStages)
        case .holds: reading.holds = try reader.texts("news.holds")
        case .links: reading.links = try reader.list("news.links", limit: Limits.reportedLinks)
        case .devices: try reading.readDevices(from: &reader)
        case nil: break
        }
    }
}

/// When a node took a reading, by its own stamps: milliseconds above, the counter in the low 16 bits.
struct ReadingVersion: Hashable, Sendable, Comparable {
    var value: UInt64 = 0

    init() {}

    init(value: UInt64) { self.value = value }

    init(_ stamp: Stamp) {
        let milliseconds = UInt64(max(0, min(stamp.milliseconds, Limits.latestMilliseconds)))
        value = milliseconds << 16 | UInt64(min(stamp.counter, 0xFFFF))
    }

    func stamp(of node: NodeID) -> Stamp {
        Stamp(milliseconds: Int64(value >> 16), counter: UInt32(value & 0xFFFF), node: node)
    }

    static func < (left: Self, right: Self) -> Bool { left.value < right.value }
}

/// What is known of a node's telemetry beside its contents: how new each part is, and what it comes to.
struct ReadingMarks: Sendable {
    private var figures = ReadingVersion()
    private var stages = ReadingVersion()
    private var holds = ReadingVersion()
    private var links = ReadingVersion()
    private var devices = ReadingVersion()
    /// Digest of what stages there are and how they fare, without their progress.
    private(set) var stagesDigest: UInt32 = 0
    /// Digest of holdings and devices.
    private(set) var staticDigest: UInt32 = 0

    subscript(part: ReadingPart) -> ReadingVersion {
        get {
            switch part {
            case .figures: figures
            case .stages: stages
            case .holds: holds
            case .links: links
            case .devices: devices
            }
        }
        set {
            switch part {
            case .figures: figures = newValue
            case .stages: stages = newValue
            case .holds: holds = newValue
            case .links: links = newValue
            case .devices: devices = newValue
            }
        }
    }

    /// Up to here both memory and stages are known, so neither is taken for newer than it is.
    /// One that was not measured yet is as new as what it says of its stages.
    var known: ReadingVersion { figures == ReadingVersion() ? stages : min(figures, stages) }

    mutating func digest(_ reading: NodeReading) {
        stagesDigest = reading.stagesDigest
        var writer = RecordWriter()
        writer.put(texts: reading.holds)
        reading.writeDevices(to: &writer)
        let isEmpty = reading.holds.isEmpty && !reading.tellsDevices
        staticDigest = isEmpty ? 0 : BucketDigest.mix(reading.node, writer.bytes)
    }
}

extension NodeReading {
    /// Takes one part of another reading of the same node.
    mutating func take(_ part: ReadingPart, from other: NodeReading) {
        switch part {
        case .figures:
            usableBytes = other.usableBytes
            totalBytes = other.totalBytes
            freeDiskBytes = other.freeDiskBytes
        case .stages: stages = other.stages
        case .holds: holds = other.holds
        case .links: links = other.links
        case .devices:
            devices = other.devices
            weightBytesPerSecond = other.weightBytesPerSecond
            weightRates = other.weightRates
            prefillOperationsPerSecond = other.prefillOperationsPerSecond
            attentionOperationsPerSecond = other.attentionOperationsPerSecond
            tilesWeights = other.tilesWeights
        }
    }

    /// Writes the part of its devices.
    func writeDevices(to writer: inout RecordWriter) {
        writer.put(list: devices)
        writer.put(optional: weightBytesPerSecond)
        writeRates(to: &writer)
    }

    /// Reads what `writeDevices` wrote.
    mutating func readDevices(from reader: inout RecordReader) throws(CodecError) {
        devices = try reader.list("news.devices", limit: Limits.reportedDevices)
        weightBytesPerSecond = try reader.optionalNumber("news.speed")
        try readRates(from: &reader)
    }

    /// Whether another reading tells the same of its devices.
    func agreesOnDevices(with other: NodeReading) -> Bool {
        var own = self
        own.take(.devices, from: other)
        return own == self
    }

    /// Whether it tells anything of its devices.
    var tellsDevices: Bool {
        !devices.isEmpty || !weightRates.isEmpty || weightBytesPerSecond != nil || tilesWeights != nil
            || prefillOperationsPerSecond != nil || attentionOperationsPerSecond != nil
    }

    /// Digest of what stages there are and how they fare; 0 without any.
    var stagesDigest: UInt32 {
        guard !stages.isEmpty else { return 0 }
        var writer = RecordWriter()
        for stage in stages {
            writer.put(stage.epoch)
            writer.put(UInt64(stage.status.rawValue))
        }
        return BucketDigest.mix(node, writer.bytes)
    }

    /// Whether anything in it was measured.
    var isMeasured: Bool {
        !(usableBytes == nil && totalBytes == nil && freeDiskBytes == nil)
            || !holds.isEmpty || !links.isEmpty || tellsDevices
    }

    /// Whether a stage is on its way, so that people look at its progress.
    var isUnderWay: Bool { stages.contains { $0.status == .fetching || $0.status == .loading } }
}
