/// What becomes of a request's field; the documentation table and the decoder read the same rows.
package enum FieldDisposition: String, Sendable, CaseIterable {
    /// It does what the vendor says.
    case honoured
    /// It is translated into something of the same meaning.
    case mapped
    /// It is checked and has no effect; a warning says so.
    case noted
    /// A request with it (or with the values named) is refused.
    case refused
}

/// A row of the documentation: a field and what becomes of it.
package struct FieldDescription: Sendable {
    /// The field's name in the request.
    package let name: String
    /// What becomes of it.
    package let disposition: FieldDisposition
    /// Ranges, translations, remedies.
    package let note: String
}

/// How one field of a request is read.
struct FieldRule: Sendable {
    typealias Action = @Sendable (inout RequestDraft, Field) throws(DialectError) -> Void

    let description: FieldDescription
    let apply: Action

    init(_ name: String, _ disposition: FieldDisposition, _ note: String, apply: @escaping Action) {
        description = FieldDescription(name: name, disposition: disposition, note: note)
        self.apply = apply
    }

    // MARK: Common kinds of rules

    /// A number that goes straight into the request.
    static func decimal(
        _ name: String, _ path: any WritableKeyPath<RequestDraft, Float> & Sendable, _ range: ClosedRange<Double>,
        _ disposition: FieldDisposition = .honoured, note: String = ""
    ) -> FieldRule {
        let bounds = "\(range.lowerBound) … \(range.upperBound)"
        return FieldRule(name, disposition, note.isEmpty ? bounds : "\(bounds); \(note)") {
            (draft, field) throws(DialectError) in
            draft[keyPath: path] = Float(try field.number(in: range))
        }
    }

    /// An integer that goes straight into the request.
    static func integer(
        _ name: String, _ path: any WritableKeyPath<RequestDraft, Int32> & Sendable, _ range: ClosedRange<Int64>,
        _ disposition: FieldDisposition = .honoured, note: String = ""
    ) -> FieldRule {
        let bounds = "\(range.lowerBound) … \(range.upperBound)"
        return FieldRule(name, disposition, note.isEmpty ? bounds : "\(bounds); \(note)") {
            (draft, field) throws(DialectError) in
            draft[keyPath: path] = Int32(clamping: try field.integer(in: range))
        }
    }

    /// A field without effect here whose presence changes nothing the client can see.
    static func noted(_ name: String, _ why: String) -> FieldRule {
        FieldRule(name, .noted, why) { (draft, field) throws(DialectError) in
            draft.warnings.add("'\(name)' has no effect: \(why).")
        }
    }

    /// A field that would change the answer in a way this server cannot.
    static func refused(_ name: String, _ remedy: String) -> FieldRule {
        FieldRule(name, .refused, remedy) { (draft, field) throws(DialectError) in
            throw .unsupportedField(field: field.name, remedy: remedy)
        }
    }

    /// A flag that is accepted only with the value that changes nothing.
    static func only(_ accepted: Bool, _ name: String, _ remedy: String) -> FieldRule {
        FieldRule(name, .refused, "only \(accepted); \(remedy)") { (draft, field) throws(DialectError) in
            guard try field.bool() == accepted else {
                throw .unsupportedValue(field: field.name, value: "\(!accepted)", remedy: remedy)
            }
        }
    }
}

/// The rules of one route: reads the members of a body in their order, warns about unknown ones.
struct FieldTable: Sendable {
    let rules: [FieldRule]
    private let index: [String: Int]

    /// Joins groups of rules; the caller MUST NOT name a field twice.
    init(_ groups: [FieldRule]...) {
        rules = groups.flatMap { $0 }
        var index: [String: Int] = [:]
        for (position, rule) in rules.enumerated() {
            precondition(index[rule.description.name] == nil, "two rules for \(rule.description.name)")
            index[rule.description.name] = position
        }
        self.index = index
    }

    /// The rows of the documentation, by name.
    var descriptions: [FieldDescription] { rules.map(\.description).sorted { $0.name < $1.name } }

    /// Reads a body into a draft.
    ///
    /// **Throws:** what the rules throw; `bodyTooLarge` and `malformedJSON` for the bytes; `wrongType` when the body is
    /// no object.
    func decode(_ body: [UInt8], into draft: inout RequestDraft) throws(DialectError) {
        let root = Field(node: try Self.read(body), path: .body)
        try root.requireObject()
        for (key, field) in root.members {
            if let position = index[key] {
                try rules[position].apply(&draft, field)
            } else {
                draft.warnings.addUnknown(key)
            }
        }
    }

    private static func read(_ body: [UInt8]) throws(DialectError) -> JSONNode {
        guard body.count <= Limits.bodyBytes else {
            throw .bodyTooLarge(bytes: body.count, limit: Limits.bodyBytes)
        }
        do {
            return try JSONReader.read(body)
        } catch {
            throw .malformedJSON(error)
        }
    }
}
