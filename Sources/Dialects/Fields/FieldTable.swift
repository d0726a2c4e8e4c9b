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
    /// Which values it takes, asked of its rule.
    package let shape: @Sendable () -> FieldShape

    init(
        name: String, disposition: FieldDisposition, note: String,
        shape: @escaping @Sendable () -> FieldShape = { .any }
    ) {
        self.name = name
        self.disposition = disposition
        self.note = note
        self.shape = shape
    }
}

/// What rules write into: anything that collects warnings on the way.
protocol FieldTarget: Sendable {
    var warnings: Warnings { get set }

    /// One into which nothing was read.
    static var blank: Self { get }

    /// Takes note that the client gave this field.
    mutating func note(_ name: String)
}

extension FieldTarget {
    mutating func note(_ name: String) {}
}

extension RequestDraft: FieldTarget {
    mutating func note(_ name: String) {
        if let option = StatedOptions.names[name] { stated.insert(option) }
    }
}

/// How one field of a request is read.
typealias FieldRule = Rule<RequestDraft>

/// The rules of one route's body.
typealias FieldTable = RuleTable<RequestDraft>

/// How one member of an object is read into a target.
struct Rule<Target: FieldTarget>: Sendable {
    typealias Action = @Sendable (inout Target, Field) throws(DialectError) -> Void

    let description: FieldDescription
    let apply: Action

    init(_ name: String, _ disposition: FieldDisposition, _ note: String, apply: @escaping Action) {
        description = FieldDescription(name: name, disposition: disposition, note: note)
        self.apply = apply
    }

    /// What the field takes.
    var shape: FieldShape {
        let name = description.name
        return FieldProbe { value in
            do throws(DialectError) {
                var target = Target.blank
                try apply(&target, Field(node: value, path: .member(.body, name)))
                return nil
            } catch {
                return error
            }
        }.shape(of: name)
    }

    /// The same rule for a target that has this one as a part.
    func within<Outer: FieldTarget>(_ path: any WritableKeyPath<Outer, Target> & Sendable) -> Rule<Outer> {
        let apply = apply
        return Rule<Outer>(description.name, description.disposition, description.note) {
            (outer, field) throws(DialectError) in
            try apply(&outer[keyPath: path], field)
        }
    }

    // MARK: Common kinds of rules

    /// A number that goes straight into the request.
    static func decimal(
        _ name: String, _ path: any WritableKeyPath<Target, Float> & Sendable, _ range: ClosedRange<Double>,
        _ disposition: FieldDisposition = .honoured, note: String = ""
    ) -> Rule {
        let bounds = "\(range.lowerBound) … \(range.upperBound)"
        return Rule(name, disposition, note.isEmpty ? bounds : "\(bounds); \(note)") {
            (draft, field) throws(DialectError) in
            draft[keyPath: path] = Float(try field.number(in: range))
        }
    }

    /// An integer that goes straight into the request.
    static func integer(
        _ name: String, _ path: any WritableKeyPath<Target, Int32> & Sendable, _ range: ClosedRange<Int64>,
        _ disposition: FieldDisposition = .honoured, note: String = ""
    ) -> Rule {
        let bounds = "\(range.lowerBound) … \(range.upperBound)"
        return Rule(name, disposition, note.isEmpty ? bounds : "\(bounds); \(note)") {
            (draft, field) throws(DialectError) in
            draft[keyPath: path] = Int32(clamping: try field.integer(in: range))
        }
    }

    /// A field without effect here whose presence changes nothing the client can see.
    static func noted(_ name: String, _ why: String) -> Rule {
        Rule(name, .noted, why) { (draft, field) throws(DialectError) in
            draft.warnings.add("'\(name)' has no effect: \(why).")
        }
    }

    /// A field that would change the answer in a way this server cannot.
    static func refused(_ name: String, _ remedy: String) -> Rule {
        Rule(name, .refused, remedy) { (draft, field) throws(DialectError) in
            throw .unsupportedField(field: field.name, remedy: remedy)
        }
    }

    /// A text that would change the answer in a way this server cannot; an empty one counts as absent.
    static func empty(_ name: String, _ remedy: String) -> Rule {
        Rule(name, .refused, "only an empty text; \(remedy)") { (draft, field) throws(DialectError) in
            guard try field.string().isEmpty else { throw .unsupportedField(field: field.name, remedy: remedy) }
        }
    }

    /// A flag that is accepted only with the value that changes nothing.
    static func only(_ accepted: Bool, _ name: String, _ remedy: String) -> Rule {
        Rule(name, .refused, "only \(accepted); \(remedy)") { (draft, field) throws(DialectError) in
            guard try field.bool() == accepted else {
                throw .unsupportedValue(field: field.name, value: "\(!accepted)", remedy: remedy)
            }
        }
    }
}

/// The rules of one object: reads its members in their order, warns about unknown ones.
struct RuleTable<Target: FieldTarget>: Sendable {
    let rules: [Rule<Target>]
    /// What the object is called in the documentation, `tools[]`; empty for a body.
    let place: String
    private let index: [String: Int]

    /// Joins groups of rules; the caller MUST NOT name a field twice.
    init(place: String = "", _ groups: [Rule<Target>]...) {
        self.place = place
        rules = groups.flatMap { $0 }
        var index: [String: Int] = [:]
        for (position, rule) in rules.enumerated() {
            precondition(index[rule.description.name] == nil, "two rules for \(rule.description.name)")
            index[rule.description.name] = position
        }
        self.index = index
    }

    /// The rows of the documentation, by name; names below a place carry it in front.
    var descriptions: [FieldDescription] {
        rules.map { rule in
            let row = rule.description
            return FieldDescription(name: placed(row.name), disposition: row.disposition, note: row.note) {
                rule.shape
            }
        }.sorted { $0.name < $1.name }
    }

    private func placed(_ name: String) -> String { place.isEmpty ? name : "\(place).\(name)" }

    /// Reads the members of an object into a target.
    ///
    /// **Throws:** what the rules throw; `wrongType` when the value is no object.
    func read(_ field: Field, into target: inout Target) throws(DialectError) {
        try field.requireObject()
        for (key, member) in field.members {
            if let position = index[key] {
                try rules[position].apply(&target, member)
                target.note(key)
            } else {
                target.warnings.addUnknown(placed(key))
            }
        }
    }

    /// Reads a body into a target.
    ///
    /// **Throws:** what the rules throw; `bodyTooLarge` and `malformedJSON` for the bytes; `wrongType` when the body is
    /// no object.
    func decode(_ body: [UInt8], into target: inout Target) throws(DialectError) {
        try read(Field(node: try Self.read(body), path: .body), into: &target)
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
