import Vocabulary

extension Command.Action {
    func write(to writer: inout RecordWriter) {
        switch self {
        case .deploy(let deployment): writer.put(kind: 1, deployment)
        case .undeploy(let name):
            writer.put(2 as UInt64)
            writer.put(name)
        case .demand(let deployment): writer.put(kind: 3, deployment)
        case .configure(let name, let value):
            writer.put(4 as UInt64)
            writer.put(name)
            writer.put(value != nil)
            writer.put(value ?? "")
        case .admit(let member): writer.put(kind: 5, member)
        case .remove(let node): writer.put(kind: 6, node)
        case .drain(let node, let drains):
            writer.put(kind: 7, node)
            writer.put(drains)
        case .merge(let content): writer.put(kind: 8, content)
        case .begin(let placement): writer.put(kind: 9, placement)
        case .advance(let epoch, let from, let to, let note):
            writer.put(kind: 10, epoch)
            writer.put(UInt64(from.rawValue))
            writer.put(UInt64(to.rawValue))
            writer.put(note)
        case .end(let epoch, let reason):
            writer.put(kind: 11, epoch)
            writer.put(reason)
        case .remember(let key, let record):
            writer.put(kind: 12, key)
            writer.put(record)
        case .exclude(let exclusion): writer.put(kind: 13, exclusion)
        case .sleep(let name):
            writer.put(14 as UInt64)
            writer.put(name)
        case .changeVoters(let voters):
            writer.put(15 as UInt64)
            writer.put(list: voters)
        case .retire(let node): writer.put(kind: 16, node)
        case .keep(let name, let milliseconds):
            writer.put(17 as UInt64)
            writer.put(name)
            writer.put(optional: milliseconds)
        }
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        let kind = try reader.number("command.kind")
        switch kind {
        case 1: self = .deploy(try reader.record("deployment"))
        case 2: self = .undeploy(try reader.text("name"))
        case 3: self = .demand(try reader.record("deployment"))
        case 4:
            let name = try reader.text("name")
            let exists = try reader.bool("exists")
            let value = try reader.text("value")
            self = .configure(name, exists ? value : nil)
        case 5: self = .admit(try reader.record("member"))
        case 6: self = .remove(try reader.record("node"))
        case 7: self = .drain(try reader.record("node"), try reader.bool("drains"))
        case 8: self = .merge(try reader.record("branch"))
        case 9: self = .begin(try reader.record("placement"))
        case 10:
            self = .advance(
                try reader.record("epoch"), from: try reader.phase("from"), to: try reader.phase("to"),
                note: try reader.text("note"))
        case 11: self = .end(try reader.record("epoch"), reason: try reader.text("reason"))
        case 12: self = .remember(try reader.record("replica"), try reader.record("record"))
        case 13: self = .exclude(try reader.record("exclusion"))
        case 14: self = .sleep(try reader.text("name"))
        case 15: self = .changeVoters(try reader.list("voters", limit: Limits.voterCount + 1))
        case 16: self = .retire(try reader.record("node"))
        case 17: self = .keep(try reader.text("name"), try reader.optionalNumber("milliseconds"))
        default: throw .invalidValue(field: "command.kind", offset: reader.offset, value: kind)
        }
    }

    /// Whether callers may ask for it; the rest is made by the leader's own reconcilers.
    var isForCallers: Bool {
        switch self {
        case .deploy, .undeploy, .demand, .keep, .configure, .admit, .remove, .drain, .merge, .retire: true
        case .begin, .advance, .end, .remember, .exclude, .sleep, .changeVoters: false
        }
    }
}

extension RecordWriter {
    /// Writes the number of a kind and its first record.
    mutating func put(kind: UInt64, _ record: some Recordable) {
        put(kind)
        put(record)
    }
}
