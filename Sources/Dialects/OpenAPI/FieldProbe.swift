/// Finds out what a field takes by asking its rule: the document of the API is made from the very code that decodes
/// requests, so the two cannot disagree.
///
/// The rule gets a value of each kind. An error about the field itself says that the kind is refused, or which numbers
/// and words are taken; an error about something inside says that the kind is taken.
struct FieldProbe {
    /// Deepest nesting that is looked into.
    private static let depth = 4
    /// Most members of an object that are found by the errors about their absence.
    private static let members = 8

    /// Gives the rule a value; its error, if any.
    let attempt: (JSONNode) -> DialectError?

    /// What the field of that name takes.
    func shape(of name: String) -> FieldShape { shape(at: name, depth: 0) { $0 } }

    private func shape(at path: String, depth: Int, wrap: (JSONNode) -> JSONNode) -> FieldShape {
        guard depth < Self.depth else { return .any }
        func ask(_ value: JSONNode.Value) -> Outcome { outcome(wrap(JSONNode(value, offset: 0)), path) }
        var kinds = FieldShape.Kinds()
        kinds.booleans = [true, false].filter { ask(.bool($0)).isTaken }
        kinds.number = numbers(ask)
        kinds.text = words(ask)
        if ask(.array([])).isTaken {
            kinds.elements = shape(at: path + "[0]", depth: depth + 1) { element in
                wrap(JSONNode(.array([element]), offset: 0))
            }
        }
        if ask(.object([])).isTaken { kinds.members = required(at: path, depth: depth, wrap: wrap) }
        return .some(kinds)
    }

    // MARK: Kinds

    private func numbers(_ ask: (JSONNode.Value) -> Outcome) -> FieldShape.NumberRange? {
        func number(_ text: String) -> Outcome { ask(.number(JSONNumber(text: text))) }
        var range = FieldShape.NumberRange(isInteger: true)
        var takesNumbers = false
        switch number("1e300") {
        case .refused(.aboveMaximum(_, _, let bound, _)): (range.maximum, takesNumbers) = (bound, true)
        case .taken: takesNumbers = true
        case .refused: break
        }
        switch number("-1e300") {
        case .refused(.belowMinimum(_, _, let bound, _)): (range.minimum, takesNumbers) = (bound, true)
        case .taken: takesNumbers = true
        case .refused: break
        }
        guard takesNumbers else { return nil }
        if case .refused(.wrongType) = number("0.5") {} else { range.isInteger = false }
        for special in ["-1", "0"] where range.minimum.flatMap(Double.init).map({ $0 > (Double(special) ?? 0) }) == true
        {
            if number(special).isTaken { range.others.append(special) }
        }
        // Bounds of what a double can hold say nothing.
        range.minimum = range.minimum.flatMap { $0.contains("e") ? nil : $0 }
        range.maximum = range.maximum.flatMap { $0.contains("e") ? nil : $0 }
        return range
    }

    private func words(_ ask: (JSONNode.Value) -> Outcome) -> FieldShape.Words? {
        switch ask(.string("x")) {
        case .taken: return .any
        case .refused(.invalidValue(_, _, let expected)):
            let list = expected.hasPrefix("one of: ") ? Self.quoted(expected) : []
            return list.isEmpty ? .any : .only(list)
        case .refused(.unsupportedValue), .refused(.tooLong), .refused(.conflict): return .any
        case .refused:
            // Some fields take the empty text only, which is as good as nothing.
            return ask(.string("")).isTaken ? .only([""]) : nil
        }
    }

    /// The words of `one of: 'a', 'b'`.
    private static func quoted(_ text: String) -> [String] {
        text.split(separator: "'", omittingEmptySubsequences: false).enumerated()
            .filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }

    /// The members whose absence is an error, one after the other.
    private func required(
        at path: String, depth: Int, wrap: (JSONNode) -> JSONNode
    ) -> [FieldShape.Member] {
        var found: [FieldShape.Member] = []
        var sample: [JSONMember] = []
        while found.count < Self.members {
            guard case .missingField(let missing)? = attempt(wrap(JSONNode(.object(sample), offset: 0))),
                missing.hasPrefix(path + ".")
            else { break }
            let name = String(missing.dropFirst(path.count + 1))
            guard !name.contains("."), !name.contains("["), !found.contains(where: { $0.name == name }) else { break }
            let known = sample
            let shape = shape(at: missing, depth: depth + 1) { value in
                wrap(JSONNode(.object(known + [JSONMember(key: name, value: value)]), offset: 0))
            }
            found.append(FieldShape.Member(name: name, shape: shape))
            sample.append(JSONMember(key: name, value: Self.sample(of: shape)))
        }
        return found
    }

    /// A value that a shape takes, as far as one can tell.
    private static func sample(of shape: FieldShape) -> JSONNode {
        guard case .some(let kinds) = shape else { return JSONNode(.string("x"), offset: 0) }
        let value: JSONNode.Value
        switch kinds.text {
        case .only(let words)?: value = .string(words.first ?? "")
        case .any?: value = .string("x")
        case nil:
            if let members = kinds.members {
                value = .object(members.map { JSONMember(key: $0.name, value: sample(of: $0.shape)) })
            } else if let number = kinds.number {
                value = .number(JSONNumber(text: number.minimum ?? "1"))
            } else if kinds.elements != nil {
                value = .array([])
            } else {
                value = .bool(kinds.booleans.first ?? true)
            }
        }
        return JSONNode(value, offset: 0)
    }

    // MARK: Outcomes

    private enum Outcome {
        case taken
        case refused(DialectError)

        var isTaken: Bool { if case .taken = self { true } else { false } }
    }

    private func outcome(_ value: JSONNode, _ path: String) -> Outcome {
        guard let error = attempt(value), error.field == path else { return .taken }
        // The kind is right, only the size is not.
        if case .tooFew = error { return .taken }
        return .refused(error)
    }
}
