import Vocabulary

/// Words that stand for images while a conversation goes through the chat template.
///
/// They hold a secret of this process and are taken out again before the prompt becomes tokens, so that nothing a
/// client writes is taken for an image.
struct ImageMarkers: Sendable {
    private let word: String
    private static let end: Character = "x"

    /// Words of a new secret.
    init() {
        // Letters and digits only: templates may escape or trim everything else.
        let secret = (0..<2).map { _ in String(UInt64.random(in: .min ... .max), radix: 16) }
        word = "image" + secret.joined(separator: "g") + "x"
    }

    /// The messages with a word in the place of every image; the words count images from 0.
    func placed(in messages: [Message]) -> [Message] {
        var count = 0
        return messages.map { message in
            guard let images = message.images, !images.isEmpty else { return message }
            var bytes: [UInt8] = []
            let text = Array(message.text.utf8)
            var start = 0
            for image in images {
                let end = min(max(start, image.offset), text.count)
                bytes += text[start..<end]
                bytes += Array("\(word)\(count)\(Self.end)".utf8)
                start = end
                count += 1
            }
            var placed = message
            placed.text = String(decoding: bytes + text[start...], as: UTF8.self)
            return placed
        }
    }

    /// A rendered prompt as texts and the numbers of the images between them.
    func split(_ prompt: String) -> [(text: String, image: Int?)] {
        var pieces: [(text: String, image: Int?)] = []
        var rest = prompt[...]
        while let found = rest.firstRange(of: word) {
            let digits = rest[found.upperBound...].prefix { $0 != Self.end }
            guard let number = Int(digits) else { break }
            pieces.append((String(rest[..<found.lowerBound]), number))
            rest = rest[digits.endIndex...].dropFirst()
        }
        pieces.append((String(rest), nil))
        return pieces
    }
}
