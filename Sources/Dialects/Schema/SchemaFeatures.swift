/// What of JSON Schema the grammar of an answer enforces, and what of a schema it would pass over.
///
/// Enforced are `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`, `prefixItems`,
/// `minItems`, `maxItems`, `minLength`, `maxLength`, `pattern` (anchored), `format` of dates, times and UUIDs, bounds
/// of integers, `anyOf`, `oneOf`, `allOf` of one schema, and `$ref` within the document. Upper bounds of repetitions
/// are enforced as far as the engine's grammars have them.
/// **Source:** JSON Schema 2020-12; llama.cpp, common/json-schema-to-grammar.cpp.
struct SchemaFeatures {
    /// A keyword that would have no effect, by its place in the request.
    struct Gap {
        let field: String
        let reason: String
    }

    /// Words that constrain a value and that no grammar is made of. Words of nobody's are annotations.
    private static let unenforced: Set<String> = [
        "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "dependencies", "patternProperties",
        "propertyNames", "minProperties", "maxProperties", "contains", "minContains", "maxContains", "multipleOf",
        "unevaluatedProperties", "unevaluatedItems", "additionalItems", "$dynamicRef", "$recursiveRef",
    ]
    private static let choiceWords: Set<String> = ["anyOf", "oneOf", "allOf", "const", "enum"]
    private static let objectWords: Set<String> = ["properties", "required", "additionalProperties"]
    private static let arrayWords: Set<String> = ["items", "prefixItems", "minItems", "maxItems"]
    private static let stringWords: Set<String> = ["pattern", "format", "minLength", "maxLength"]
    private static let numberWords: Set<String> = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]
    private static let formats: Set<String> = [
        "date", "time", "date-time", "uuid", "uuid1", "uuid2", "uuid3", "uuid4", "uuid5",
    ]

    private var gaps: [Gap] = []

    /// The gaps of a schema, in the order they are met; at most `Limits.warnings`.
    static func gaps(in field: Field) -> [Gap] {
        var features = SchemaFeatures()
        features.visit(field)
        return features.gaps
    }

    private mutating func add(_ field: Field, _ reason: String) {
        if gaps.count < Limits.warnings { gaps.append(Gap(field: field.name, reason: reason)) }
    }

    private mutating func visit(_ field: Field) {
        let members = field.members
        let keys = Set(members.map(\.key))
        for (key, member) in members {
            switch key {
            case "$defs", "definitions", "properties":
                for (_, schema) in member.members { visit(schema) }
            case "additionalProperties":
                if member.node.members != nil { visit(member) }
            case "items" where member.node.array == nil: visit(member)
            case "items", "prefixItems", "anyOf", "oneOf": visitElements(of: member)
            case "allOf":
                visitElements(of: member)
                if member.node.array?.count != 1 { add(member, "only 'allOf' of one schema is enforced") }
            case "pattern": checkPattern(member)
            case "format":
                if !Self.formats.contains(member.node.string ?? "") {
                    add(member, "only the formats date, time, date-time and uuid are enforced")
                }
            case "maxLength": checkBound(member, Limits.grammarRepetitions)
            // The first item is none of the repeated ones; of `prefixItems` each is written out.
            case "maxItems" where !keys.contains("prefixItems"): checkBound(member, Limits.grammarRepetitions + 1)
            case "type", "enum", "const", "required", "minItems", "maxItems", "minLength", "$ref": break
            case _ where Self.numberWords.contains(key):
                if !Self.types(of: field).isSubset(of: ["integer"]) {
                    add(member, "bounds are enforced for type 'integer' only")
                }
            case "uniqueItems" where member.node.bool == false: break
            case "uniqueItems": add(member, "the keyword is not enforced")
            default: if Self.unenforced.contains(key) { add(member, "the keyword is not enforced") }
            }
        }
        checkSiblings(field, keys)
    }

    private mutating func visitElements(of field: Field) {
        for (index, node) in (field.node.array ?? []).enumerated() {
            visit(Field(node: node, path: .element(field.path, index)))
        }
    }

    /// Words that are passed over because another one stands next to them.
    private mutating func checkSiblings(_ field: Field, _ keys: Set<String>) {
        let enforced = Self.objectWords.union(Self.arrayWords).union(Self.stringWords).union(Self.numberWords)
            .union(Self.choiceWords)
        func passedOver(_ winner: String, besides allowed: Set<String>) {
            guard keys.contains(winner) else { return }
            for loser in keys.intersection(enforced).subtracting(allowed).subtracting([winner]).sorted() {
                guard let member = field.member(loser) else { continue }
                add(member, "next to '\(winner)' it is not enforced")
            }
        }
        if keys.contains("$ref") { return passedOver("$ref", besides: []) }
        if keys.contains("oneOf") { return passedOver("oneOf", besides: ["type"]) }
        if keys.contains("anyOf") { return passedOver("anyOf", besides: ["type"]) }
        if keys.contains("const") { return passedOver("const", besides: ["type", "enum"]) }
        if keys.contains("enum") { return passedOver("enum", besides: ["type"]) }
        passedOver("allOf", besides: ["type"])
        passedOver("pattern", besides: ["type"])
        if keys.contains("items") { passedOver("items", besides: ["type", "minItems", "maxItems"]) }
        guard !keys.contains("pattern"), !keys.contains("allOf"), keys.contains("type") else { return }
        let types = Self.types(of: field)
        for (words, type) in [(Self.objectWords, "object"), (Self.arrayWords, "array"), (Self.stringWords, "string")]
        where !types.contains(type) {
            for word in keys.intersection(words).sorted() {
                if let member = field.member(word) { add(member, "it says nothing of the type next to it") }
            }
        }
        if types.contains("string"), keys.contains("format") {
            for word in ["minLength", "maxLength"] {
                if let member = field.member(word) { add(member, "next to 'format' it is not enforced") }
            }
        }
    }

    private static func types(of field: Field) -> Set<String> {
        guard let type = field.member("type") else { return ["any"] }
        if let name = type.node.string { return [name] }
        return Set((type.node.array ?? []).compactMap(\.string).filter { $0 != "null" })
    }

    /// The engine's grammars take a larger upper bound for none.
    private mutating func checkBound(_ field: Field, _ limit: Int) {
        guard let number = field.node.number, !number.isNegative else { return }
        switch number.integer {
        case .exact(let value) where value <= limit: break
        case .exact, .outOfRange: add(field, "upper bounds are enforced up to \(limit)")
        case .fractional: break
        }
    }

    /// Patterns become a grammar when they are anchored and keep to groups, classes, repetition and plain escapes.
    private mutating func checkPattern(_ field: Field) {
        guard let pattern = field.node.string else { return }
        guard pattern.utf8.count >= 2, pattern.hasPrefix("^"), pattern.hasSuffix("$") else {
            return add(field, "only patterns from '^' to '$' are enforced")
        }
        var rest = Array(pattern.utf8)[...].dropFirst().dropLast()
        var isInClass = false
        let plain = Set("tr n\\\"[]-".utf8).subtracting([0x20])
        let literal = plain.union("^$.()|{}*+?".utf8)
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\\"):
                guard let next = rest.popFirst(),
                    (isInClass ? plain : literal).contains(next) || "xuU".utf8.contains(next)
                else { return add(field, "of escapes only those of single characters are enforced") }
            case UInt8(ascii: "{") where !isInClass:
                let most = rest.prefix { $0 != UInt8(ascii: "}") }.split(separator: UInt8(ascii: ",")).last ?? []
                if let most = Int(String(decoding: most, as: UTF8.self)), most > Limits.grammarRepetitions {
                    return add(field, "repetitions are enforced up to \(Limits.grammarRepetitions) times")
                }
            case UInt8(ascii: "["): isInClass = true
            case UInt8(ascii: "]"): isInClass = false
            case UInt8(ascii: "(") where !isInClass && rest.first == UInt8(ascii: "?"):
                guard rest.dropFirst().first == UInt8(ascii: ":") else {
                    return add(field, "groups that look around or have names are not enforced")
                }
                rest = rest.dropFirst(2)
            case UInt8(ascii: "^") where !isInClass, UInt8(ascii: "$") where !isInClass:
                return add(field, "anchors inside of a pattern are not enforced")
            default: break
            }
        }
    }
}

extension Field {
    /// Judges a schema that answers have to keep to.
    ///
    /// **Throws:** `unsupportedValue` naming the first keyword that would not be enforced, when `strict`; else each one
    /// is a warning.
    func checkSchema(strict: Bool, warnings: inout Warnings) throws(DialectError) {
        for gap in SchemaFeatures.gaps(in: self) {
            guard !strict else {
                throw .unsupportedValue(
                    field: gap.field, value: "this part of a strict schema",
                    remedy: "\(gap.reason); leave it out, or leave out 'strict'")
            }
            warnings.add("'\(clipped(gap.field))' is not enforced: \(gap.reason).")
        }
    }
}
