/// A value of a JSON text, with the place it was read from.
package struct JSONNode: Sendable {
    /// The six kinds of JSON values.
    package enum Value: Sendable {
        /// `null`
        case null
        /// `true` or `false`
        case bool(Bool)
        /// A number, as written.
        case number(JSONNumber)
        /// Text.
        case string(String)
        /// Values in order.
        case array([JSONNode])
        /// Members in the order they were written; no key occurs twice.
        case object([JSONMember])
    }

    /// The value.
    package let value: Value
    /// Where the value starts. **Units:** bytes from the start of the text.
    package let offset: Int

    /// Makes a value.
    package init(_ value: Value, offset: Int) {
        self.value = value
        self.offset = offset
    }

    /// Whether the value is `null`.
    package var isNull: Bool {
        if case .null = value { true } else { false }
    }

    /// The text, when the value is one.
    package var string: String? {
        if case .string(let text) = value { text } else { nil }
    }

    /// The number, when the value is one.
    package var number: JSONNumber? {
        if case .number(let number) = value { number } else { nil }
    }

    /// True or false, when the value is one of them.
    package var bool: Bool? {
        if case .bool(let flag) = value { flag } else { nil }
    }

    /// The elements, when the value is an array.
    package var array: [JSONNode]? {
        if case .array(let elements) = value { elements } else { nil }
    }

    /// The members in their order, when the value is an object.
    package var members: [JSONMember]? {
        if case .object(let members) = value { members } else { nil }
    }

    /// The member of that key, when the value is an object that has it; `null` counts as a value here.
    package subscript(key: String) -> JSONNode? {
        members?.first { $0.key == key }?.value
    }

    /// The element at that place, when the value is an array that has one.
    package subscript(index: Int) -> JSONNode? {
        guard let array, array.indices.contains(index) else { return nil }
        return array[index]
    }

    /// What kind of value it is, in words for errors.
    package var kind: String {
        switch value {
        case .null: "null"
        case .bool: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }

    /// The value written compactly: no spaces, members in their order, numbers as they were written.
    package var text: String {
        var writer = JSONWriter()
        writer.node(self)
        return writer.text
    }
}

/// A key of an object and its value.
package struct JSONMember: Sendable {
    /// The key.
    package let key: String
    /// The value.
    package let value: JSONNode

    /// Makes a member.
    package init(key: String, value: JSONNode) {
        self.key = key
        self.value = value
    }
}
