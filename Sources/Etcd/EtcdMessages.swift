import FoundationEssentials

/// Numbers of 64 bits are texts in etcd's JSON; what is zero is left out.
struct EtcdNumber: Codable, Hashable, Sendable {
    var value: Int64

    init(_ value: Int64) { self.value = value }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(Int64.self) {
            value = number
            return
        }
        guard let number = Int64(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "no number of 64 bits")
        }
        value = number
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(String(value))
    }
}

/// A key with its value.
struct EtcdPair: Decodable, Sendable {
    var value: Data?
    var create_revision: EtcdNumber?
    var lease: EtcdNumber?

    var bytes: [UInt8] { value.map { Array($0) } ?? [] }
    var text: String { String(decoding: bytes, as: UTF8.self) }
    var created: UInt64 { UInt64(clamping: create_revision?.value ?? 0) }
}

struct EtcdHeader: Decodable, Sendable {
    var revision: EtcdNumber?
}

struct EtcdRange: Decodable, Sendable {
    var kvs: [EtcdPair]?
    var more: Bool?
}

/// What a transaction asks for and does.
struct EtcdTransaction: Encodable, Sendable {
    struct Compare: Encodable, Sendable {
        var key: Data
        var target: String
        var result = "EQUAL"
        var create_revision: EtcdNumber?
        var value: Data?
    }

    struct Operation: Encodable, Sendable {
        var request_put: Put?
        var request_range: Range?
        var request_delete_range: Range?
    }

    struct Put: Encodable, Sendable {
        var key: Data
        var value: Data
        var lease: EtcdNumber?
    }

    struct Range: Encodable, Sendable {
        var key: Data
        var range_end: Data?
        var limit: EtcdNumber?
    }

    var compare: [Compare] = []
    var success: [Operation] = []
    var failure: [Operation] = []

    /// The key exists since this revision; 0 is not at all.
    mutating func demand(_ key: String, createdAt revision: UInt64) {
        compare.append(
            .init(key: Data(key.utf8), target: "CREATE", create_revision: EtcdNumber(Int64(clamping: revision))))
    }

    mutating func demand(_ key: String, value: String) {
        compare.append(.init(key: Data(key.utf8), target: "VALUE", value: Data(value.utf8)))
    }

    mutating func put(_ key: String, _ value: some Sequence<UInt8>, lease: Int64? = nil) {
        let put = Put(key: Data(key.utf8), value: Data(value), lease: lease.map { EtcdNumber($0) })
        success.append(.init(request_put: put))
    }

    mutating func delete(from first: String, to end: String) {
        success.append(.init(request_delete_range: Range(key: Data(first.utf8), range_end: Data(end.utf8))))
    }

    mutating func read(_ key: String) { success.append(.init(request_range: Range(key: Data(key.utf8)))) }

    mutating func elseRead(_ key: String) { failure.append(.init(request_range: Range(key: Data(key.utf8)))) }
}

struct EtcdTransactionAnswer: Decodable, Sendable {
    struct Response: Decodable, Sendable {
        var response_range: EtcdRange?
    }

    var header: EtcdHeader?
    var succeeded: Bool?
    var responses: [Response]?

    /// The pair that the range at this place of the answers found.
    func pair(_ place: Int) -> EtcdPair? {
        guard let responses, place < responses.count else { return nil }
        return responses[place].response_range?.kvs?.first
    }
}

struct EtcdLeaseAnswer: Decodable, Sendable {
    var ID: EtcdNumber?
    var TTL: EtcdNumber?
}

struct EtcdKeepAliveAnswer: Decodable, Sendable {
    var result: EtcdLeaseAnswer?
    var error: EtcdRefusal?
}

struct EtcdGrant: Encodable, Sendable {
    var TTL: EtcdNumber
}

struct EtcdLease: Encodable, Sendable {
    var ID: EtcdNumber
}

struct EtcdLogin: Encodable, Sendable {
    var name: String
    var password: String
}

struct EtcdToken: Decodable, Sendable {
    var token: String?
}

struct EtcdNothing: Decodable, Sendable {}

struct EtcdRefusal: Decodable, Sendable {
    var message: String?
    var error: String?
    var code: Int?
}
