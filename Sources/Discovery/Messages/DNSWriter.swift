/// Writes the parts of a message; a name that ends as an earlier one does points there.
struct DNSWriter {
    private(set) var bytes: [UInt8] = []
    /// Where names, and ends of names, stand.
    private var places: [ArraySlice<[UInt8]>: UInt16] = [:]

    mutating func number(_ value: UInt16) { bytes += [UInt8(value >> 8), UInt8(value & 0xFF)] }

    mutating func name(_ name: DomainName) {
        for index in name.labels.indices {
            let suffix = name.suffix(from: index)
            if let place = places[suffix] { return number(0xC000 | place) }
            // A pointer has fourteen bits.
            if bytes.count < 0x4000 { places[suffix] = UInt16(bytes.count) }
            bytes.append(UInt8(name.labels[index].count))
            bytes += name.labels[index]
        }
        bytes.append(0)
    }

    mutating func question(_ question: DNSQuestion) {
        name(question.name)
        number(question.type)
        number(question.wantsUnicast ? 0x8001 : 1)
    }

    mutating func record(_ record: DNSRecord) {
        name(record.name)
        number(record.data.type)
        number(record.isUnique ? 0x8001 : 1)
        number(UInt16(record.seconds >> 16))
        number(UInt16(record.seconds & 0xFFFF))
        let start = bytes.count
        number(0)
        switch record.data {
        case .pointer(let target): name(target)
        case .service(let priority, let weight, let port, let target):
            number(priority)
            number(weight)
            number(port)
            name(target)
        default: bytes += record.data.wireBytes
        }
        let length = UInt16(clamping: bytes.count - start - 2)
        bytes[start] = UInt8(length >> 8)
        bytes[start + 1] = UInt8(length & 0xFF)
    }
}
