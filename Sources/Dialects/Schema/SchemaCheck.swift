/// Holds a value against a JSON Schema.
///
/// Total and bounded: beyond `Limits.schemaDepth` schemas inside each other, as with one that refers to itself, and
/// after `Limits.schemaSteps` comparisons nothing is judged any further. Unknown keywords say nothing.
/// **Source:** JSON Schema 2020-12, Core and Validation.
struct SchemaCheck {
    private let root: JSONNode
    private var steps = 0
    private var depth = 0

    /// What in `value` breaks `schema`, in words; nil when nothing does.
    static func violation(of schema: JSONNode, by value: JSONNode) -> String? {
        var check = SchemaCheck(root: schema)
        return check.violation(schema, value, "")
    }

    private init(root: JSONNode) { self.root = root }

    private mutating func violation(_ schema: JSONNode, _ value: JSONNode, _ place: String) -> String? {
        steps += 1
        guard steps <= Limits.schemaSteps, depth < Limits.schemaDepth else { return nil }
        depth += 1
        defer { depth -= 1 }
        if schema.bool == false { return "\(Self.said(place)) is not allowed" }
        guard schema.members != nil else { return nil }
        if let reference = schema["$ref"]?.string {
            guard let target = SchemaReferences.target(of: reference, in: root) else { return nil }
            if let found = violation(target, value, place) { return found }
        }
        return typeViolation(schema, value, place) ?? choiceViolation(schema, value, place)
            ?? numberViolation(schema, value, place) ?? textViolation(schema, value, place)
            ?? arrayViolation(schema, value, place) ?? objectViolation(schema, value, place)
    }

    private static func said(_ place: String) -> String { place.isEmpty ? "the value" : "'\(clipped(place))'" }

    // MARK: Any type

    private func typeViolation(_ schema: JSONNode, _ value: JSONNode, _ place: String) -> String? {
        guard let type = schema["type"] else { return nil }
        let names = type.string.map { [$0] } ?? (type.array ?? []).compactMap(\.string)
        guard !names.isEmpty, !names.contains(where: { Self.is(value, $0) }) else { return nil }
        return "\(Self.said(place)) is \(value.kind), not of type \(names.joined(separator: " or "))"
    }

    private static func `is`(_ value: JSONNode, _ type: String) -> Bool {
        switch (type, value.value) {
        case ("object", .object), ("array", .array), ("string", .string), ("boolean", .bool), ("null", .null),
            ("number", .number):
            true
        case ("integer", .number(let number)): number.integer != .fractional
        default: false
        }
    }

    private mutating func choiceViolation(_ schema: JSONNode, _ value: JSONNode, _ place: String) -> String? {
        let text = value.text
        if let allowed = schema["const"], !Self.equal(allowed, value) {
            return "\(Self.said(place)) is \(clipped(text)), not \(clipped(allowed.text))"
        }
        if let allowed = schema["enum"]?.array, !allowed.contains(where: { Self.equal($0, value) }) {
            return "\(Self.said(place)) is \(clipped(text)), which is none of those allowed"
        }
        for part in schema["allOf"]?.array ?? [] {
            if let found = violation(part, value, place) { return found }
        }
        if let parts = schema["anyOf"]?.array, !parts.contains(where: { violation($0, value, place) == nil }) {
            return "\(Self.said(place)) fits none of the schemas of 'anyOf'"
        }
        if let parts = schema["oneOf"]?.array {
            let fitting = parts.count { violation($0, value, place) == nil }
            if fitting != 1 { return "\(Self.said(place)) fits \(fitting) of the schemas of 'oneOf', not one" }
        }
        if let part = schema["not"], violation(part, value, place) == nil {
            return "\(Self.said(place)) fits the schema of 'not'"
        }
        return nil
    }

    private static func equal(_ left: JSONNode, _ right: JSONNode) -> Bool {
        switch (left.value, right.value) {
        case (.null, .null): return true
        case (.bool(let a), .bool(let b)): return a == b
        case (.string(let a), .string(let b)): return a == b
        case (.number(let a), .number(let b)): return a.text == b.text || (a.double != nil && a.double == b.double)
        case (.array(let a), .array(let b)): return a.count == b.count && zip(a, b).allSatisfy { equal($0, $1) }
        case (.object(let a), .object(let b)):
            return a.count == b.count
                && a.allSatisfy { member in right[member.key].map { equal(member.value, $0) } ?? false }
        default: return false
        }
    }

    // MARK: Single types

    private func numberViolation(_ schema: JSONNode, _ value: JSONNode, _ place: String) -> String? {
        guard let number = value.number?.double else { return nil }
        func bound(_ key: String) -> Double? { schema[key]?.number?.double }
        let isOutside =
            bound("minimum").map { number < $0 } ?? false || bound("maximum").map { number > $0 } ?? false
            || bound("exclusiveMinimum").map { number <= $0 } ?? false
            || bound("exclusiveMaximum").map { number >= $0 } ?? false
        if isOutside { return "\(Self.said(place)) is \(clipped(value.text)), outside its bounds" }
        if let step = bound("multipleOf"), step > 0, (number / step).rounded() * step != number {
            return "\(Self.said(place)) is \(clipped(value.text)), no multiple of \(step)"
        }
        return nil
    }

    private func textViolation(_ schema: JSONNode, _ value: JSONNode, _ place: String) -> String? {
        guard let text = value.string else { return nil }
        let length = text.unicodeScalars.count
        if let least = Self.count(schema["minLength"]), length < least {
            return "\(Self.said(place)) has \(length) characters, fewer than \(least)"
        }
        if let most = Self.count(schema["maxLength"]), length > most {
            return "\(Self.said(place)) has \(length) characters, more than \(most)"
        }
        return nil
    }

    private mutating func arrayViolation(_ schema: JSONNode, _ value: JSONNode, _ place: String) -> String? {
        guard let elements = value.array else { return nil }
        if let least = Self.count(schema["minItems"]), elements.count < least {
            return "\(Self.said(place)) has \(elements.count) items, fewer than \(least)"
        }
        if let most = Self.count(schema["maxItems"]), elements.count > most {
            return "\(Self.said(place)) has \(elements.count) items, more than \(most)"
        }
        // Drafts before 2020-12 call the places of a tuple 'items'.
        let places = schema["prefixItems"]?.array ?? schema["items"]?.array ?? []
        let others = schema["items"].flatMap { $0.array == nil ? $0 : nil }
        for (index, element) in elements.enumerated() {
            guard let part = index < places.count ? places[index] : others else { continue }
            if let found = violation(part, element, place + "[\(index)]") { return found }
        }
        if schema["uniqueItems"]?.bool == true, elements.count <= Limits.uniqueItems {
            for (index, element) in elements.enumerated()
            where elements[..<index].contains(where: { Self.equal($0, element) }) {
                return "\(Self.said(place)) has the same item twice"
            }
        }
        return nil
    }

    private mutating func objectViolation(_ schema: JSONNode, _ value: JSONNode, _ place: String) -> String? {
        guard let members = value.members else { return nil }
        for name in (schema["required"]?.array ?? []).compactMap(\.string) where value[name] == nil {
            return "\(Self.said(place)) lacks '\(clipped(name))'"
        }
        let known = schema["properties"]
        for member in members {
            let inner = place.isEmpty ? member.key : place + "." + member.key
            if let part = known?[member.key] {
                if let found = violation(part, member.value, inner) { return found }
            } else if let part = schema["additionalProperties"], schema["patternProperties"] == nil {
                if let found = violation(part, member.value, inner) { return found }
            }
        }
        if let least = Self.count(schema["minProperties"]), members.count < least {
            return "\(Self.said(place)) has \(members.count) members, fewer than \(least)"
        }
        if let most = Self.count(schema["maxProperties"]), members.count > most {
            return "\(Self.said(place)) has \(members.count) members, more than \(most)"
        }
        return nil
    }

    private static func count(_ node: JSONNode?) -> Int? {
        guard case .exact(let value)? = node?.number?.integer else { return nil }
        return Int(clamping: value)
    }
}
