/// Which JSON values a field takes.
package indirect enum FieldShape: Hashable, Sendable {
    /// Some kinds of values; those that are not named are not taken.
    case some(Kinds)
    /// Any value.
    case any

    /// The kinds of values a field takes.
    package struct Kinds: Hashable, Sendable {
        /// The truth values it takes.
        package var booleans: [Bool] = []
        /// The numbers it takes.
        package var number: NumberRange?
        /// The texts it takes.
        package var text: Words?
        /// What the elements of an array are.
        package var elements: FieldShape?
        /// The members an object must have.
        package var members: [Member]?
    }

    /// A range of numbers; bounds are written as JSON.
    package struct NumberRange: Hashable, Sendable {
        /// Whether only whole numbers are taken.
        package var isInteger: Bool
        /// The smallest one; nil for none.
        package var minimum: String?
        /// The largest one; nil for none.
        package var maximum: String?
        /// Numbers outside the range that are taken all the same.
        package var others: [String] = []
    }

    /// Which texts are taken.
    package enum Words: Hashable, Sendable {
        /// Texts the rule judges by more than a list.
        case any
        /// These only.
        case only([String])
    }

    /// A member an object must have.
    package struct Member: Hashable, Sendable {
        /// Its name.
        package let name: String
        /// What it takes.
        package let shape: FieldShape
    }

    /// Whether no value is taken at all: the field can only be left out.
    package var isNothing: Bool { self == .some(Kinds()) }
}
