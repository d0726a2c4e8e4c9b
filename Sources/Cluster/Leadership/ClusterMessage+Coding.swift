import Vocabulary

extension ClusterMessage {
    /// The message as bytes.
    package var encodedBytes: [UInt8] { encoded }

    /// Reads a message from bytes that may be anything.
    ///
    /// **Throws:** when a field is cut off, above its limit, or without meaning.
    package init(bytes: [UInt8]) throws(CodecError) { try self.init(encoded: bytes) }
}

extension ClusterMessage: Recordable {
    func write(to writer: inout RecordWriter) {
        switch self {
        case .ping(let sequence, let gossip):
            writer.put(1 as UInt64)
            writer.put(sequence)
            writer.put(gossip)
        case .pingRequest(let target, let sequence, let gossip):
            writer.put(kind: 2, target)
            writer.put(sequence)
            writer.put(gossip)
        case .ack(let sequence, let node, let gossip):
            writer.put(3 as UInt64)
            writer.put(sequence)
            writer.put(node)
            writer.put(gossip)
        case .nack(let sequence):
            writer.put(4 as UInt64)
            writer.put(sequence)
        case .sync(let exchange):
            // Not behind its length: its first fields are older than the record.
            writer.put(5 as UInt64)
            exchange.write(to: &writer)
        case .vote(let request): writer.put(kind: 6, request)
        case .voteReply(let reply): writer.put(kind: 7, reply)
        case .append(let append): writer.put(kind: 8, append)
        case .appendReply(let reply): writer.put(kind: 9, reply)
        case .snapshot(let chunk): writer.put(kind: 10, chunk)
        case .snapshotReply(let term, let lastIndex, let offset, let sentAt):
            writer.put(11 as UInt64)
            writer.put(term)
            writer.put(lastIndex)
            writer.put(count: offset)
            writer.put(signed: sentAt)
        case .succeed(let term):
            writer.put(12 as UInt64)
            writer.put(term)
        case .branch(let beat): writer.put(kind: 13, beat)
        case .branchReply(let reply): writer.put(kind: 14, reply)
        case .propose(let command): writer.put(kind: 15, command)
        case .refused(let id, let refusal):
            writer.put(kind: 16, id)
            writer.put(UInt64(refusal.code.rawValue))
            writer.put(refusal.description)
        case .doneDegraded(let id): writer.put(kind: 17, id)
        case .report(let reading): writer.put(kind: 18, reading)
        }
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        let kind = try reader.number("message.kind")
        switch kind {
        case 1: self = .ping(sequence: try reader.number("sequence"), try reader.record("gossip"))
        case 2:
            let target = try reader.record("target", NodeID.self)
            self = .pingRequest(
                target: target, sequence: try reader.number("sequence"), try reader.record("gossip"))
        case 3:
            self = .ack(
                sequence: try reader.number("sequence"), about: try reader.record("about"),
                try reader.record("gossip"))
        case 4: self = .nack(sequence: try reader.number("sequence"))
        case 5:
            self = .sync(try Exchange(from: &reader))
        case 6: self = .vote(try reader.record("vote"))
        case 7: self = .voteReply(try reader.record("voteReply"))
        case 8: self = .append(try reader.record("append"))
        case 9: self = .appendReply(try reader.record("appendReply"))
        case 10: self = .snapshot(try reader.record("snapshot"))
        case 11:
            self = .snapshotReply(
                term: try reader.counter("term"), lastIndex: try reader.counter("lastIndex"),
                offset: try reader.count("offset", limit: Limits.snapshotBytes), sentAt: try reader.signed("sentAt"))
        case 12: self = .succeed(term: try reader.counter("term"))
        case 13: self = .branch(try reader.record("branch"))
        case 14: self = .branchReply(try reader.record("branchReply"))
        case 15: self = .propose(try reader.record("command"))
        case 16:
            let id = try reader.record("command", CommandID.self)
            let code = try reader.number("code")
            // A reason this version has no code for is still a refusal.
            let known = UInt8(exactly: code).flatMap(CommandRefusal.Code.init) ?? .invalid
            self = .refused(id, CommandRefusal(known, try reader.text("description")))
        case 17: self = .doneDegraded(try reader.record("command"))
        case 18: self = .report(try reader.record("reading"))
        default: throw .invalidValue(field: "message.kind", offset: reader.offset, value: kind)
        }
    }
}

extension RecordReader {
    fileprivate mutating func voteKind() throws(CodecError) -> VoteKind {
        let value = try number("vote.kind")
        guard let kind = UInt8(exactly: value).flatMap(VoteKind.init) else {
            throw .invalidValue(field: "vote.kind", offset: offset, value: value)
        }
        return kind
    }
}

extension VoteRequest: Recordable {
    func write(to writer: inout RecordWriter) {
        writer.put(UInt64(kind.rawValue))
        writer.put(term)
        writer.put(lastIndex)
        writer.put(lastTerm)
        writer.put(predecessor)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        kind = try reader.voteKind()
        term = try reader.counter("vote.term")
        lastIndex = try reader.counter("vote.lastIndex")
        lastTerm = try reader.counter("vote.lastTerm")
        predecessor = try reader.counter("vote.predecessor")
    }
}

extension VoteReply: Recordable {
    func write(to writer: inout RecordWriter) {
        writer.put(UInt64(kind.rawValue))
        writer.put(asked)
        writer.put(term)
        writer.put(isGranted)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        kind = try reader.voteKind()
        asked = try reader.counter("vote.asked")
        term = try reader.counter("vote.term")
        isGranted = try reader.bool("vote.granted")
    }
}

extension Append: Recordable {
    func write(to writer: inout RecordWriter) {
        writer.put(term)
        writer.put(previousIndex)
        writer.put(previousTerm)
        writer.put(list: entries)
        writer.put(commit)
        writer.put(signed: sentAt)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        term = try reader.counter("append.term")
        previousIndex = try reader.counter("append.previousIndex")
        previousTerm = try reader.counter("append.previousTerm")
        entries = try reader.list("append.entries", limit: Limits.entriesPerAppend)
        commit = try reader.counter("append.commit")
        sentAt = try reader.signed("append.sentAt")
    }
}

extension AppendReply: Recordable {
    func write(to writer: inout RecordWriter) {
        writer.put(term)
        writer.put(isAccepted)
        writer.put(index)
        writer.put(signed: sentAt)
        writer.put(hasForgotten)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        term = try reader.counter("appendReply.term")
        isAccepted = try reader.bool("appendReply.accepted")
        index = try reader.counter("appendReply.index")
        sentAt = try reader.signed("appendReply.sentAt")
        hasForgotten = reader.isAtEnd ? false : try reader.bool("appendReply.forgotten")
    }
}

extension SnapshotChunk: Recordable {
    func write(to writer: inout RecordWriter) {
        writer.put(term)
        writer.put(lastIndex)
        writer.put(lastTerm)
        writer.put(count: offset)
        writer.put(count: total)
        writer.put(bytes)
        writer.put(signed: sentAt)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        term = try reader.counter("snapshot.term")
        lastIndex = try reader.counter("snapshot.lastIndex")
        lastTerm = try reader.counter("snapshot.lastTerm")
        offset = try reader.count("snapshot.offset", limit: Limits.snapshotBytes)
        total = try reader.count("snapshot.total", limit: Limits.snapshotBytes)
        bytes = try reader.data("snapshot.bytes", limit: Limits.snapshotChunkBytes)
        sentAt = try reader.signed("snapshot.sentAt")
    }
}

extension BranchBeat: Recordable {
    func write(to writer: inout RecordWriter) {
        writer.put(term)
        writer.put(version)
        writer.put(optional: state)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        term = try reader.counter("branch.term")
        version = try reader.counter("branch.version")
        state = try reader.optionalRecord("branch.state")
    }
}

extension BranchReply: Recordable {
    func write(to writer: inout RecordWriter) {
        writer.put(term)
        writer.put(version)
        writer.put(optional: rival)
    }

    init(from reader: inout RecordReader) throws(CodecError) {
        term = try reader.counter("branchReply.term")
        version = try reader.counter("branchReply.version")
        rival = try reader.optionalRecord("branchReply.rival")
    }
}
