import NIOCore

/// One message of the join exchange: a kind and its fields, each a tag and bytes. Unknown tags are passed over.
///
/// **Units/encoding:** u8 kind, u32 length of the rest, then per field u8 tag, u16 length, bytes; all big-endian.
struct JoinFrame: Hashable, Sendable {
    enum Kind: UInt8, Sendable {
        case hello = 1
        case request = 2
        case accepted = 3
        case refused = 4
    }

    enum Tag: UInt8, Sendable {
        case release = 1
        case oldestProtocol = 2
        case newestProtocol = 3
        case clock = 4
        case cluster = 5
        case secret = 10
        case node = 11
        case signingRequest = 12
        case part = 13
        case name = 14
        case address = 15
        case certificate = 20
        case peer = 21
        case authorityKey = 22
        case code = 30
        case first = 31
        case second = 32
        case text = 33
        case otherVersions = 34
    }

    /// Bytes before the fields.
    static let headerBytes = 5

    let kind: Kind
    private(set) var fields: [Field] = []

    struct Field: Hashable, Sendable {
        let tag: UInt8
        let bytes: [UInt8]
    }

    init(_ kind: Kind) { self.kind = kind }

    mutating func put(_ tag: Tag, _ bytes: [UInt8]) { fields.append(Field(tag: tag.rawValue, bytes: bytes)) }

    /// Puts a text, cut to what a field may hold.
    mutating func put(_ tag: Tag, _ text: String) {
        put(
            tag,
            Array(String(decoding: text.utf8.prefix(Limits.textBytes), as: UTF8.self).utf8.prefix(Limits.textBytes)))
    }

    mutating func put(_ tag: Tag, _ number: UInt64) {
        put(tag, (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - 8 * $0)) })
    }

    mutating func put(_ tag: Tag, _ time: WallTime) { put(tag, UInt64(bitPattern: time.milliseconds)) }

    mutating func put(_ versions: JoinVersions) {
        put(.release, versions.release)
        put(.oldestProtocol, UInt64(versions.protocols.lowerBound))
        put(.newestProtocol, UInt64(versions.protocols.upperBound))
    }

    var bytes: [UInt8] {
        var body: [UInt8] = []
        for field in fields {
            body += [field.tag, UInt8(field.bytes.count >> 8), UInt8(field.bytes.count & 0xFF)] + field.bytes
        }
        let length = (0..<4).map { UInt8(truncatingIfNeeded: body.count >> (24 - 8 * $0)) }
        return [kind.rawValue] + length + body
    }

    /// Reads one whole frame. **Throws:** what is wrong with it.
    init(bytes: some Collection<UInt8>) throws(JoinFrameError) {
        let bytes = Array(bytes)
        guard bytes.count >= Self.headerBytes else { throw JoinFrameError("it has no header") }
        let length = try Self.length(kind: bytes[0], length: bytes[1..<5].reduce(0) { $0 << 8 | UInt32($1) })
        guard bytes.count == Self.headerBytes + length.length else { throw JoinFrameError("its length does not fit") }
        try self.init(length.kind, body: bytes[Self.headerBytes...])
    }

    /// Judges a header, before anything is taken in behind it. **Throws:** what is wrong with it.
    static func length(kind: UInt8, length: UInt32) throws(JoinFrameError) -> (kind: Kind, length: Int) {
        guard let kind = Kind(rawValue: kind) else { throw JoinFrameError("there is no frame of kind \(kind)") }
        guard length <= UInt32(Limits.frameBytes) else {
            throw JoinFrameError("a frame of \(length) bytes is announced, the limit is \(Limits.frameBytes)")
        }
        return (kind, Int(length))
    }

    init(_ kind: Kind, body: ArraySlice<UInt8>) throws(JoinFrameError) {
        self.kind = kind
        var rest = body
        while !rest.isEmpty {
            guard rest.count >= 3 else { throw JoinFrameError("a field is cut off") }
            guard fields.count < Limits.frameFields else {
                throw JoinFrameError("it has more than \(Limits.frameFields) fields")
            }
            let header = Array(rest.prefix(3))
            let length = Int(header[1]) << 8 | Int(header[2])
            rest = rest.dropFirst(3)
            guard rest.count >= length else {
                throw JoinFrameError("field \(header[0]) has \(length) bytes and \(rest.count) are left")
            }
            fields.append(Field(tag: header[0], bytes: Array(rest.prefix(length))))
            rest = rest.dropFirst(length)
        }
    }
}

/// What is wrong with a frame.
struct JoinFrameError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

extension JoinFrame {
    func optionalBytes(_ tag: Tag, limit: Int) throws(JoinFrameError) -> [UInt8]? {
        guard let field = fields.first(where: { $0.tag == tag.rawValue }) else { return nil }
        guard field.bytes.count <= limit else {
            throw JoinFrameError("\(tag) has \(field.bytes.count) bytes, the limit is \(limit)")
        }
        return field.bytes
    }

    func bytes(_ tag: Tag, limit: Int) throws(JoinFrameError) -> [UInt8] {
        guard let bytes = try optionalBytes(tag, limit: limit) else { throw JoinFrameError("\(tag) is missing") }
        return bytes
    }

    func optionalNumber(_ tag: Tag) throws(JoinFrameError) -> UInt64? {
        guard let bytes = try optionalBytes(tag, limit: 8) else { return nil }
        guard bytes.count == 8 else { throw JoinFrameError("\(tag) has \(bytes.count) bytes instead of 8") }
        return bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    func number(_ tag: Tag) throws(JoinFrameError) -> UInt64 {
        guard let number = try optionalNumber(tag) else { throw JoinFrameError("\(tag) is missing") }
        return number
    }

    func time(_ tag: Tag) throws(JoinFrameError) -> WallTime {
        WallTime(milliseconds: Int64(bitPattern: try number(tag)))
    }

    /// A text that can be shown: control characters of a terminal are replaced.
    func text(_ tag: Tag) throws(JoinFrameError) -> String {
        try Self.text(try bytes(tag, limit: Limits.textBytes), tag)
    }

    func texts(_ tag: Tag, limit: Int) throws(JoinFrameError) -> [String] {
        let all = fields.filter { $0.tag == tag.rawValue }
        guard all.count <= limit else {
            throw JoinFrameError("\(tag) is there \(all.count) times, the limit is \(limit)")
        }
        var texts: [String] = []
        for field in all {
            guard field.bytes.count <= Limits.textBytes else {
                throw JoinFrameError("\(tag) has \(field.bytes.count) bytes, the limit is \(Limits.textBytes)")
            }
            texts.append(try Self.text(field.bytes, tag))
        }
        return texts
    }

    func versions() throws(JoinFrameError) -> JoinVersions {
        let release = try text(.release)
        guard let oldest = UInt16(exactly: try number(.oldestProtocol)),
            let newest = UInt16(exactly: try number(.newestProtocol)), oldest <= newest
        else { throw JoinFrameError("its protocol versions are no range") }
        return JoinVersions(release: release, protocols: oldest...newest)
    }

    private static func text(_ bytes: [UInt8], _ tag: Tag) throws(JoinFrameError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw JoinFrameError("\(tag) is not UTF-8") }
        let shown = text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }
        return String(String.UnicodeScalarView(shown))
    }
}

/// Cuts a stream into frames; a header that announces too much ends the connection before the rest is read.
struct JoinFrameDecoder: NIOSingleStepByteToMessageDecoder {
    typealias InboundOut = JoinFrame

    mutating func decode(buffer: inout ByteBuffer) throws -> JoinFrame? {
        guard let kind = buffer.getInteger(at: buffer.readerIndex, as: UInt8.self) else { return nil }
        // The kind alone shows garbage; waiting for more of it would cost memory for nothing.
        _ = try JoinFrame.length(kind: kind, length: 0)
        guard let announced = buffer.getInteger(at: buffer.readerIndex + 1, as: UInt32.self) else { return nil }
        let (known, length) = try JoinFrame.length(kind: kind, length: announced)
        guard buffer.readableBytes >= JoinFrame.headerBytes + length else { return nil }
        buffer.moveReaderIndex(forwardBy: JoinFrame.headerBytes)
        let body = buffer.readBytes(length: length) ?? []
        return try JoinFrame(known, body: body[...])
    }

    mutating func decodeLast(buffer: inout ByteBuffer, seenEOF: Bool) throws -> JoinFrame? {
        try decode(buffer: &buffer)
    }
}
