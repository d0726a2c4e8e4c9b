/// The commands applied lately, so that a repeated one is recognised: a ring of bounded length.
package struct ResultTable: Hashable, Sendable {
    struct Row: Hashable, Sendable {
        var command: CommandID
        var index: UInt64
        var stamp: Stamp
    }

    /// In the order of application, starting at `head` once the ring is full.
    private var ring: [Row] = []
    private var head = 0
    /// Never iterated, so its order does not matter.
    private var places: [CommandID: UInt64] = [:]
    /// Stamps up to here may belong to commands forgotten since.
    package private(set) var floor = Stamp.zero

    init() {}

    /// Number of commands remembered.
    package var count: Int { ring.count }

    /// Index of the entry that carried the command, if it is remembered.
    package func index(of command: CommandID) -> UInt64? { places[command] }

    mutating func record(_ command: CommandID, index: UInt64, stamp: Stamp) {
        guard places[command] == nil else { return }
        let row = Row(command: command, index: index, stamp: stamp)
        places[command] = index
        guard ring.count >= Limits.resultCount else {
            ring.append(row)
            return
        }
        let oldest = ring[head]
        places[oldest.command] = nil
        floor = max(floor, oldest.stamp)
        ring[head] = row
        head = (head + 1) % ring.count
    }

    /// Oldest first, wherever the ring begins.
    private var rows: [Row] { Array(ring[head...] + ring[..<head]) }

    /// Whether both remember the same commands in the same order.
    package static func == (left: ResultTable, right: ResultTable) -> Bool {
        left.floor == right.floor && left.rows == right.rows
    }

    /// Hashes the commands in their order.
    package func hash(into hasher: inout Hasher) { hasher.combine(rows) }
}

extension ResultTable: Recordable {
    func write(to writer: inout RecordWriter) {
        writer.put(floor)
        writer.put(count: ring.count)
        for part in [ring[head...], ring[..<head]] {
            for row in part {
                writer.put(row.command)
                writer.put(row.index)
                writer.put(row.stamp)
            }
        }
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        floor = try reader.record("results.floor")
        let count = try reader.count("results", limit: Limits.resultCount)
        for _ in 0..<count {
            let row = Row(
                command: try reader.record("result.command"), index: try reader.counter("result.index"),
                stamp: try reader.record("result.stamp"))
            ring.append(row)
            places[row.command] = row.index
        }
    }
}
