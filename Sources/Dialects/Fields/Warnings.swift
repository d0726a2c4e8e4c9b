/// What was accepted but has no effect; each said once, and no more than `Limits.warnings` of them.
struct Warnings: Sendable {
    private(set) var sentences: [String] = []
    private var dropped = 0

    mutating func add(_ sentence: String) {
        guard !sentences.contains(sentence) else { return }
        if sentences.count < Limits.warnings { sentences.append(sentence) } else { dropped += 1 }
    }

    mutating func addUnknown(_ name: String) {
        add("'\(clipped(name))' is not a known parameter and has no effect.")
    }

    /// Warns about members of an object that nobody reads; `place` is how the object is called.
    mutating func addUnknown(in object: JSONNode, besides known: [String], place: String) {
        for member in object.members ?? [] where !member.value.isNull && !known.contains(member.key) {
            addUnknown("\(place).\(member.key)")
        }
    }

    /// The sentences, and how many more there were.
    var all: [String] { dropped > 0 ? sentences + ["There are \(dropped) more warnings."] : sentences }
}
