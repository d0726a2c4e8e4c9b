/// Reads the parts of a message. A name may go on elsewhere in the message, but only further to the front, so reading
/// ends; every length is checked before it is used.
struct DNSReader {
    /// Root, type, class.
    static let leastQuestionBytes = 5
    /// Root, type, class, life, length.
    static let leastRecordBytes = 11

    private let bytes: [UInt8]
    private(set) var offset = 0

    init(_ bytes: [UInt8], at offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
    }

    var remaining: Int { bytes.count - offset }

    mutating func number(_ field: String) throws(DNSError) -> UInt16 {
        guard remaining >= 2 else { throw .truncated(field: field, offset: bytes.count) }
        defer { offset += 2 }
        return UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
    }

    private mutating func take(_ count: Int, _ field: String) throws(DNSError) -> ArraySlice<UInt8> {
        guard remaining >= count else { throw .truncated(field: field, offset: bytes.count) }
        defer { offset += count }
        return bytes[offset..<offset + count]
    }

    mutating func name() throws(DNSError) -> DomainName {
        var labels: [[UInt8]] = []
        var size = 1
        var place = offset
        var end: Int?
        var earliest = offset
        var pointers = 0
        while true {
            guard place < bytes.count else { throw .truncated(field: "a name", offset: bytes.count) }
            let length = Int(bytes[place])
            switch length {
            case 0:
                offset = end ?? place + 1
                return try DomainName(labels: labels)
            case 0xC0...:
                guard place + 1 < bytes.count else { throw .truncated(field: "a name", offset: bytes.count) }
                let target = (length & 0x3F) << 8 | Int(bytes[place + 1])
                pointers += 1
                guard target < earliest, pointers <= DiscoveryLimits.pointers else {
                    throw .pointer(target: target, offset: place)
                }
                end = end ?? place + 2
                (earliest, place) = (target, target)
            case 1...DiscoveryLimits.labelBytes:
                size += 1 + length
                guard size <= DiscoveryLimits.nameBytes else {
                    throw .name(bytes: size, limit: DiscoveryLimits.nameBytes)
                }
                guard place + 1 + length <= bytes.count else {
                    throw .truncated(field: "a label", offset: bytes.count)
                }
                labels.append(Array(bytes[place + 1..<place + 1 + length]))
                place += 1 + length
            default: throw .label(length: length, limit: DiscoveryLimits.labelBytes, offset: place)
            }
        }
    }

    /// A question; nil when it is of another class than that of the Internet.
    mutating func question() throws(DNSError) -> DNSQuestion? {
        let name = try name()
        let type = try number("a question")
        let kind = try number("a question")
        guard [1, 255].contains(kind & 0x7FFF) else { return nil }
        return DNSQuestion(name, type: type, wantsUnicast: kind & 0x8000 != 0)
    }

    mutating func records(_ count: Int) throws(DNSError) -> [DNSRecord] {
        var records: [DNSRecord] = []
        for _ in 0..<count {
            if let record = try record() { records.append(record) }
        }
        return records
    }

    private mutating func record() throws(DNSError) -> DNSRecord? {
        let name = try name()
        let type = try number("a record")
        let kind = try number("a record")
        let life = UInt32(try number("a record")) << 16 | UInt32(try number("a record"))
        let length = Int(try number("a record"))
        guard remaining >= length else { throw .truncated(field: "a record's data", offset: bytes.count) }
        guard kind & 0x7FFF == 1 else {
            offset += length
            return nil
        }
        let end = offset + length
        let data = try data(type, length)
        guard offset == end else { throw .dataLength(type: type, length: length, offset: end - length) }
        return DNSRecord(name, data, seconds: life, isUnique: kind & 0x8000 != 0)
    }

    private mutating func data(_ type: UInt16, _ length: Int) throws(DNSError) -> DNSData {
        let start = offset
        switch type {
        case DNSType.a, DNSType.aaaa:
            guard let address = HostAddress(bytes: try take(length, "an address")),
                address.isVersion6 == (type == DNSType.aaaa)
            else { throw .dataLength(type: type, length: length, offset: start) }
            return .address(address)
        case DNSType.ptr: return .pointer(try name())
        case DNSType.srv:
            let (priority, weight) = (try number("a service"), try number("a service"))
            let port = try number("a service")
            return .service(priority: priority, weight: weight, port: port, target: try name())
        case DNSType.txt:
            var texts: [[UInt8]] = []
            while offset < start + length {
                let count = Int(try take(1, "a text").first ?? 0)
                guard count <= start + length - offset else {
                    throw .dataLength(type: type, length: length, offset: start)
                }
                guard texts.count < DiscoveryLimits.texts else {
                    throw .tooMany(field: "texts", count: texts.count + 1, limit: DiscoveryLimits.texts)
                }
                // An empty text stands for none. RFC 6763 §6.1
                if count > 0 { texts.append(Array(try take(count, "a text"))) }
            }
            return .text(texts)
        case DNSType.nsec: return try only(end: start + length)
        default: return .other(type: type, bytes: Array(try take(length, "a record's data")))
        }
    }

    private mutating func only(end: Int) throws(DNSError) -> DNSData {
        let next = try name()
        var types: [UInt16] = []
        while offset < end {
            let head = Array(try take(2, "a bitmap"))
            guard (1...32).contains(head[1]), Int(head[1]) <= end - offset else {
                throw .dataLength(type: DNSType.nsec, length: Int(head[1]), offset: offset)
            }
            for (index, byte) in try take(Int(head[1]), "a bitmap").enumerated() {
                for bit in 0..<8 where byte & (0x80 >> UInt8(bit)) != 0 {
                    types.append(UInt16(head[0]) << 8 | UInt16(index * 8 + bit))
                }
            }
        }
        return .only(next: next, types: types)
    }
}
