import Vocabulary

extension NodeID: Recordable {
    func write(to writer: inout RecordWriter) { writer.put(value) }

    init(from reader: inout RecordReader) throws(CodecError) { self.init(try reader.number("node")) }
}

extension CommandID: Recordable {
    func write(to writer: inout RecordWriter) {
        writer.put(origin.value)
        writer.put(number)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        self.init(origin: NodeID(try reader.number("command.origin")), number: try reader.number("command.number"))
    }
}

extension Stamp: Recordable {
    func write(to writer: inout RecordWriter) {
        writer.put(signed: milliseconds)
        writer.put(UInt64(counter))
        writer.put(node.value)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        self.init(
            milliseconds: try reader.milliseconds("stamp.milliseconds"), counter: try reader.number32("stamp.counter"),
            node: NodeID(try reader.number("stamp.node")))
    }
}

extension Epoch: Recordable {
    func write(to writer: inout RecordWriter) {
        writer.put(term)
        writer.put(number)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        self.init(term: try reader.counter("epoch.term"), number: try reader.counter("epoch.number"))
    }
}

extension LayerRange: Recordable {
    func write(to writer: inout RecordWriter) {
        writer.put(count: first)
        writer.put(count: end)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        let first = try reader.count("layers.first", limit: Limits.layerCount)
        let end = try reader.count("layers.end", limit: Limits.layerCount)
        guard first < end else {
            throw .invalidValue(field: "layers.end", offset: reader.offset, value: UInt64(end))
        }
        self.init(first: first, end: end)
    }
}
