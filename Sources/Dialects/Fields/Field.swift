/// Where a value stands in a request, rendered only when an error names it: `messages[2].content[0].type`.
indirect enum FieldPath: Sendable, CustomStringConvertible {
    case body
    case member(FieldPath, String)
    case element(FieldPath, Int)

    var description: String {
        switch self {
        case .body: ""
        case .member(.body, let name): clipped(name)
        case .member(let parent, let name): parent.description + "." + clipped(name)
        case .element(let parent, let index): parent.description + "[\(index)]"
        }
    }
}

/// A value of a request together with its place: the typed and bounded views that decoding is made of.
///
/// Every view throws an error that names the field, what is allowed and what was sent. A member whose value is
/// `null` counts as absent, as the vendors' SDKs send it.
struct Field: Sendable {
    let node: JSONNode
    let path: FieldPath

    /// The place in words: `messages[2].content`, or `body`.
    var name: String {
        if case .body = path { "body" } else { path.description }
    }

    func wrongType(expected: String) -> DialectError {
        .wrongType(field: name, expected: expected, actual: node.kind)
    }

    // MARK: Scalars

    func bool() throws(DialectError) -> Bool {
        guard let value = node.bool else { throw wrongType(expected: "a boolean") }
        return value
    }

    func string(atMost limit: Int? = nil) throws(DialectError) -> String {
        guard let value = node.string else { throw wrongType(expected: "a string") }
        if let limit, value.utf8.count > limit {
            throw .tooLong(field: name, bytes: value.utf8.count, limit: limit)
        }
        return value
    }

    /// The text, or nil for an empty one: clients written in Go send every text so that they do not set.
    func filledString(atMost limit: Int) throws(DialectError) -> String? {
        let value = try string(atMost: limit)
        return value.isEmpty ? nil : value
    }

    func integer(in range: ClosedRange<Int64>) throws(DialectError) -> Int64 {
        guard let number = node.number else { throw wrongType(expected: "an integer") }
        switch number.integer {
        case .exact(let value) where range.contains(value): return value
        case .exact(let value): throw outside(value < range.lowerBound, range, .integer)
        case .outOfRange: throw outside(number.isNegative, range, .integer)
        case .fractional:
            throw .wrongType(field: name, expected: "an integer", actual: "the number \(clipped(number.text))")
        }
    }

    func number(in range: ClosedRange<Double>) throws(DialectError) -> Double {
        guard let number = node.number else { throw wrongType(expected: "a number") }
        guard let value = number.double else { throw outside(number.isNegative, range, .decimal) }
        guard range.contains(value) else { throw outside(value < range.lowerBound, range, .decimal) }
        return value
    }

    /// One of a few words.
    func word(_ allowed: [String]) throws(DialectError) -> String {
        let value = try string()
        guard allowed.contains(value) else {
            throw .invalidValue(field: name, value: "'\(clipped(value))'", expected: Self.list(allowed))
        }
        return value
    }

    private func outside(
        _ isBelow: Bool, _ range: ClosedRange<some Comparable>, _ kind: DialectError.NumberKind
    ) -> DialectError {
        let value = clipped(node.number?.text ?? "")
        return isBelow
            ? .belowMinimum(field: name, value: value, minimum: Self.bound(range.lowerBound), kind: kind)
            : .aboveMaximum(field: name, value: value, maximum: Self.bound(range.upperBound), kind: kind)
    }

    /// A bound as people write it: 2, not 2.0.
    private static func bound(_ value: some Comparable) -> String {
        let text = "\(value)"
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    private static func list(_ words: [String]) -> String {
        "one of: " + words.map { "'\($0)'" }.joined(separator: ", ")
    }

    // MARK: Arrays and objects

    func elements(atMost limit: Int) throws(DialectError) -> [Field] {
        guard let array = node.array else { throw wrongType(expected: "an array") }
        guard array.count <= limit else { throw .tooMany(field: name, count: array.count, limit: limit) }
        return array.enumerated().map { Field(node: $1, path: .element(path, $0)) }
    }

    func requireObject() throws(DialectError) {
        guard node.members != nil else { throw wrongType(expected: "an object") }
    }

    /// The members that have a value, in their order; none when this is no object.
    var members: [(key: String, field: Field)] {
        (node.members ?? []).filter { !$0.value.isNull }.map {
            ($0.key, Field(node: $0.value, path: .member(path, $0.key)))
        }
    }

    /// The member of that name, when it has a value.
    func member(_ key: String) -> Field? {
        guard let value = node[key], !value.isNull else { return nil }
        return Field(node: value, path: .member(path, key))
    }

    /// The member of that name; an error when it has no value.
    func required(_ key: String) throws(DialectError) -> Field {
        guard let field = member(key) else { throw .missingField(FieldPath.member(path, key).description) }
        return field
    }

    /// A JSON Schema (an object, or `true`) written compactly.
    func schema() throws(DialectError) -> String {
        switch node.value {
        case .object, .bool(true): break
        default: throw wrongType(expected: "a JSON Schema object")
        }
        let text = node.text
        guard text.utf8.count <= Limits.schemaBytes else {
            throw .tooLong(field: name, bytes: text.utf8.count, limit: Limits.schemaBytes)
        }
        try requireBoundedSchemas()
        if let fault = SchemaReferences.fault(of: node) {
            throw .invalidValue(field: name, value: clipped(fault.value), expected: fault.expected)
        }
        return text
    }

    /// Refuses schemas that would keep the engine's library busy for long, all that stand in it together.
    func requireBoundedSchemas() throws(DialectError) {
        if let fault = SchemaBounds.fault(of: node) {
            throw .invalidValue(field: name, value: fault.value, expected: fault.expected)
        }
    }

    /// A name of a tool or schema: letters, digits, underscores and dashes.
    func identifier(atMost limit: Int = Limits.nameBytes) throws(DialectError) -> String {
        let value = try string(atMost: limit)
        let isAllowed = value.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard isAllowed, !value.isEmpty else {
            throw .invalidValue(
                field: name, value: "'\(clipped(value))'",
                expected: "1 to \(limit) of the characters a-z, A-Z, 0-9, _ and -")
        }
        return value
    }
}
