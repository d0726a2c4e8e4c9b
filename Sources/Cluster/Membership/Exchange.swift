import Vocabulary

/// What two members tell each other so that nobody misses anything for good: first a digest, then what differs.
package struct Exchange: Hashable, Sendable, Recordable {
    /// Who answers and who does not.
    package var updates: [StatusUpdate] = []
    /// Whether it answers an exchange.
    package var isReply = false
    /// What the sender knows, in digests; with it the receiver is asked for what differs.
    package var digest: ExchangeDigest?
    /// Telemetry that differs.
    package var news: [ReadingNews] = []

    init(_ updates: [StatusUpdate] = [], isReply: Bool, digest: ExchangeDigest? = nil, news: [ReadingNews] = []) {
        self.updates = updates
        self.isReply = isReply
        self.digest = digest
        self.news = news
    }

    /// All that is known of some nodes, as a member that has just started is told.
    package static func telling(_ readings: [NodeReading]) -> Exchange {
        var exchange = Exchange(isReply: true)
        exchange.news = readings.flatMap { reading in
            ReadingPart.allCases.map { ReadingNews($0, of: reading, at: ReadingVersion(reading.stamp)) }
        }
        return exchange
    }

    func write(to writer: inout RecordWriter) {
        writer.put(list: updates)
        writer.put(isReply)
        writer.put(optional: digest)
        writer.put(list: news)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        updates = try reader.list("updates", limit: Limits.syncCount)
        isReply = try reader.bool("isReply")
        digest = try reader.optionalRecord("digest")
        news = try reader.list("news", limit: Limits.exchangedNews)
    }
}

/// What a node knows of all members, in buckets of them, so that two nodes find out where they differ.
package struct ExchangeDigest: Hashable, Sendable, Recordable {
    /// Who answers and who does not.
    package var statuses = BucketDigest()
    /// What stages there are and how they fare.
    package var stages = BucketDigest()
    /// Holdings and devices.
    package var statics = BucketDigest()
    /// Number of members whose telemetry is known.
    package var readings: UInt64 = 0

    init() {}

    func write(to writer: inout RecordWriter) {
        writer.put(statuses.bytes)
        writer.put(stages.bytes)
        writer.put(statics.bytes)
        writer.put(readings)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        statuses = BucketDigest(try reader.data("digest.statuses", limit: BucketDigest.byteCount))
        stages = BucketDigest(try reader.data("digest.stages", limit: BucketDigest.byteCount))
        statics = BucketDigest(try reader.data("digest.statics", limit: BucketDigest.byteCount))
        readings = try reader.number("digest.readings")
    }
}

/// One number for each of sixteen buckets of members, whatever the order they were added in.
package struct BucketDigest: Hashable, Sendable {
    /// Buckets: with them an exchange that finds one difference tells a sixteenth of everything.
    static let count = 16
    /// Length of the digest. **Units:** bytes.
    static let byteCount = count * 4

    private var values: SIMD16<UInt32> = .zero

    init() {}

    /// Reads a digest; one of another length differs from every other.
    init(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else {
            values = SIMD16(repeating: .max)
            return
        }
        for index in 0..<Self.count {
            values[index] = bytes[(4 * index)..<(4 * index + 4)].reduce(0) { $0 << 8 | UInt32($1) }
        }
    }

    /// Big-endian.
    var bytes: [UInt8] {
        (0..<Self.count).flatMap { index in
            [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: values[index] >> UInt32($0)) }
        }
    }

    static func bucket(of node: NodeID) -> Int { Int((node.value &* 0x9E37_79B9_7F4A_7C15) >> 60) }

    /// Adds what is known of a node, as `mix` makes it; 0 changes nothing.
    mutating func add(_ value: UInt32, of node: NodeID) { values[Self.bucket(of: node)] ^= value }

    /// The buckets in which two digests differ.
    func differing(from other: Self) -> BucketSet {
        var buckets = BucketSet()
        for index in 0..<Self.count where values[index] != other.values[index] { buckets.insert(index) }
        return buckets
    }

    /// Comes to another number for other bytes, most likely: FNV-1a, then stirred.
    static func mix(_ node: NodeID, _ bytes: [UInt8]) -> UInt32 {
        var value: UInt64 = 0xCBF2_9CE4_8422_2325 ^ (node.value &* 0x9E37_79B9_7F4A_7C15)
        for byte in bytes { value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        value ^= value >> 32
        value = value &* 0xD6E8_FEB8_6659_FD93
        return UInt32(truncatingIfNeeded: value >> 32)
    }

    /// The same for two small numbers.
    static func mix(_ node: NodeID, _ first: UInt64, _ second: UInt64) -> UInt32 {
        var value = (node.value &* 0x9E37_79B9_7F4A_7C15) ^ (first << 56) ^ second
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return UInt32(truncatingIfNeeded: value >> 32)
    }
}

/// Some of the buckets.
struct BucketSet: Hashable, Sendable {
    private var bits: UInt16 = 0

    var isEmpty: Bool { bits == 0 }

    mutating func insert(_ bucket: Int) { bits |= 1 << UInt16(bucket) }

    func contains(_ node: NodeID) -> Bool { bits & (1 << UInt16(BucketDigest.bucket(of: node))) != 0 }
}
