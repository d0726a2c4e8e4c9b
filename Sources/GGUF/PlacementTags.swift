/// What a model's card asks of the machines that run it, beside what a deployment asks: tags like `llama-cuda`.
///
/// The card is the file's own metadata, so it goes wherever the file goes and every node that plans reads the same.
package struct PlacementTags: Hashable, Sendable {
    /// The key of the tags every machine must have: one text, or an array of them.
    package static let requiredKey = "skein.required_tags"
    /// The key of the tags machines had better have.
    package static let preferredKey = "skein.preferred_tags"
    /// Most tags of a kind.
    package static let countMax = 16
    /// Longest tag. **Units:** bytes.
    package static let byteCountMax = 64

    /// Tags without which a machine is not used.
    package var required: [String]
    /// Tags of machines that are used as long as the model fits on them.
    package var preferred: [String]

    /// Asks for tags.
    package init(required: [String] = [], preferred: [String] = []) {
        self.required = required
        self.preferred = preferred
    }

    /// The tags of a file that passed `validate`.
    package init(_ file: GGUFFile) {
        func tags(_ key: String) -> [String] {
            if let text = file.string(key) { return [text] }
            guard let table = file.strings(key) else { return [] }
            return (0..<min(table.count, Self.countMax)).map { String(decoding: table[$0], as: UTF8.self) }
        }
        self.init(required: tags(Self.requiredKey), preferred: tags(Self.preferredKey))
    }

    /// What is wrong with the tags of a file, with their key.
    static func problem(of value: MetadataValue) -> (GGUFFinding.Kind, String)? {
        let lengths: [Int]
        if let text = value.byteString {
            lengths = [text.bytes.count]
        } else if let table = value.array?.strings {
            guard table.count <= countMax else {
                return (.wrongLength, "has \(table.count) tags, expected at most \(countMax)")
            }
            lengths = (0..<table.count).map { table[$0].count }
        } else {
            return (.wrongType, "is \(value.type), expected an array of str")
        }
        guard let odd = lengths.first(where: { !(1...byteCountMax).contains($0) }) else { return nil }
        return (.wrongLength, "has a tag of \(odd) bytes, expected 1 to \(byteCountMax)")
    }
}

extension GGUFWriter {
    /// Replaces what the model's card asks of machines; what it asks no more is taken out.
    package mutating func set(_ tags: PlacementTags) {
        for (key, texts) in [(PlacementTags.requiredKey, tags.required), (PlacementTags.preferredKey, tags.preferred)] {
            metadata.removeAll { $0.key == key }
            if !texts.isEmpty { set(key, .array(.texts(texts))) }
        }
    }
}
