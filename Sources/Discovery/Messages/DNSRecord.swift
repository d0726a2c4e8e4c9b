/// Types of records that discovery uses, by their numbers.
package enum DNSType {
    /// An IPv4 address.
    package static let a: UInt16 = 1
    /// A name that stands for another.
    package static let ptr: UInt16 = 12
    /// Texts.
    package static let txt: UInt16 = 16
    /// An IPv6 address.
    package static let aaaa: UInt16 = 28
    /// Host and port of a service.
    package static let srv: UInt16 = 33
    /// What a name has no records of.
    package static let nsec: UInt16 = 47
    /// In a question: whatever there is.
    package static let any: UInt16 = 255
}

/// What a record says.
package enum DNSData: Hashable, Sendable {
    /// An address of a host.
    case address(HostAddress)
    /// A name that stands for another.
    case pointer(DomainName)
    /// Where a service is reached.
    case service(priority: UInt16, weight: UInt16, port: UInt16, target: DomainName)
    /// Texts; of keys and values, in DNS-SD.
    case text([[UInt8]])
    /// The types of records a name has, and that it has no others.
    case only(next: DomainName, types: [UInt16])
    /// What discovery has no use for.
    case other(type: UInt16, bytes: [UInt8])

    /// The type's number.
    package var type: UInt16 {
        switch self {
        case .address(let address): address.isVersion6 ? DNSType.aaaa : DNSType.a
        case .pointer: DNSType.ptr
        case .service: DNSType.srv
        case .text: DNSType.txt
        case .only: DNSType.nsec
        case .other(let type, _): type
        }
    }

    /// The data in a message, without compression: what ties are decided by. **Source:** RFC 6762 §8.2.
    var wireBytes: [UInt8] {
        switch self {
        case .address(let address): return address.bytes
        case .pointer(let name): return name.wireBytes
        case .service(let priority, let weight, let port, let target):
            return [priority, weight, port].flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] } + target.wireBytes
        case .text(let texts):
            return texts.isEmpty ? [0] : texts.flatMap { [UInt8(min($0.count, 255))] + $0.prefix(255) }
        case .only(let next, let types): return next.wireBytes + Self.bitmap(of: types)
        case .other(_, let bytes): return bytes
        }
    }

    /// The first window of an NSEC record's bitmap, which is all that multicast DNS uses. **Source:** RFC 6762 §6.1.
    static func bitmap(of types: [UInt16]) -> [UInt8] {
        let low = types.filter { $0 < 256 }
        guard let most = low.max() else { return [] }
        var bits = [UInt8](repeating: 0, count: Int(most) / 8 + 1)
        for type in low { bits[Int(type) / 8] |= 0x80 >> UInt8(type % 8) }
        return [0, UInt8(bits.count)] + bits
    }
}

/// A record of a message.
package struct DNSRecord: Hashable, Sendable {
    /// Whose it is.
    package var name: DomainName
    /// Whether only one host has records of this name and type, so that these replace all others.
    package var isUnique: Bool
    /// How long it may be believed; 0 takes it back. **Units:** seconds.
    package var seconds: UInt32
    /// What it says.
    package var data: DNSData

    /// Makes a record.
    package init(_ name: DomainName, _ data: DNSData, seconds: UInt32, isUnique: Bool) {
        self.name = name
        self.data = data
        self.seconds = seconds
        self.isUnique = isUnique
    }

    /// Whether both say the same, whatever their lives.
    func says(_ other: DNSRecord) -> Bool { name == other.name && data == other.data }
}

/// A question of a message.
package struct DNSQuestion: Hashable, Sendable {
    /// Whose records are asked for.
    package var name: DomainName
    /// Which, by number.
    package var type: UInt16
    /// Whether the answer may go to the asking host alone.
    package var wantsUnicast: Bool

    /// Makes a question.
    package init(_ name: DomainName, type: UInt16, wantsUnicast: Bool = false) {
        self.name = name
        self.type = type
        self.wantsUnicast = wantsUnicast
    }

    /// Whether a record answers it.
    func isAnswered(by record: DNSRecord) -> Bool {
        name == record.name && (type == DNSType.any || type == record.data.type)
    }
}
