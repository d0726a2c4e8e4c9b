/// The events of one command at their place in the log. They are applied together or not at all.
package struct LogEntry: Hashable, Sendable, Recordable {
    /// Its place; the first one is 1.
    package var index: UInt64
    /// Term of the leader that made it.
    package var term: UInt64
    /// Hybrid time of the leader that made it.
    package var stamp: Stamp
    /// The command it carries out; nil when the leader acted by itself.
    package var command: CommandID?
    /// What happened.
    package var events: [EventRecord]

    /// Makes an entry.
    package init(index: UInt64, term: UInt64, stamp: Stamp, command: CommandID?, events: [EventRecord]) {
        self.index = index
        self.term = term
        self.stamp = stamp
        self.command = command
        self.events = events
    }

    /// An entry as bytes, for the disk.
    package var encodedBytes: [UInt8] { encoded }

    /// Reads an entry from its bytes.
    ///
    /// **Throws:** when they are cut off or wrong.
    package init(bytes: [UInt8]) throws(CodecError) { try self.init(encoded: bytes) }

    /// The voters this entry sets, if it does.
    var voters: [NodeID]? {
        for record in events where record.kind == 1 || record.kind == 5 {
            switch record.event {
            case .votersChanged(let voters): return voters
            case .founded(_, let member): return [member.node]
            default: break
            }
        }
        return nil
    }

    /// Members this entry sets.
    var members: [Member] {
        events.compactMap { record in
            guard record.kind == 1 || record.kind == 3 else { return nil }
            switch record.event {
            case .founded(_, let member), .memberSet(let member): return member
            default: return nil
            }
        }
    }

    /// Whether this entry gives a setting a value.
    func sets(_ name: String) -> Bool {
        events.contains { record in
            guard record.kind == 8, case .settingSet(name, let setting) = record.event else { return false }
            return setting.value != nil
        }
    }

    /// Roughly its size on the wire. **Units:** bytes.
    var size: Int { events.reduce(48) { $0 + $1.body.count + 6 } }

    func write(to writer: inout RecordWriter) {
        writer.put(index)
        writer.put(term)
        writer.put(stamp)
        writer.put(optional: command)
        writer.put(list: events)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        index = try reader.counter("entry.index")
        term = try reader.counter("entry.term")
        stamp = try reader.record("entry.stamp")
        command = try reader.optionalRecord("entry.command")
        events = try reader.list("entry.events", limit: Limits.eventsPerEntry)
    }
}
