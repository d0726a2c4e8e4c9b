/// A byte-level BPE tokenizer of any size: it reads and writes every text, though its tokens mean nothing.
///
/// The 256 byte tokens come first, then invented words (every string of letters, shortest first, with and without a
/// leading space), each with the merge rule that makes it, then the three control tokens.
package struct SyntheticTokenizer: Sendable {
    /// The tokens' texts, in the alphabet of byte-level BPE.
    package let tokens: StringTable
    /// The merge rules, `left right`, in order of rank.
    package let merges: StringTable

    /// The control tokens, the last three of the vocabulary.
    package static let controlTokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    /// Fewest tokens a vocabulary can have: the bytes and the control tokens.
    package static let sizeMin = 256 + controlTokens.count
    /// ChatML, with the opening of the answer when one is asked for.
    package static let chatTemplate =
        "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
        + "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"

    /// Makes a vocabulary of `size` tokens.
    ///
    /// **Throws:** `GGUFError.unwritable` when `size` is below 259 or above what is served.
    package init(size: Int) throws(GGUFError) {
        guard size >= Self.sizeMin, size <= EngineLimits.tokenCountMax else {
            throw .unwritable(
                field: "vocabulary size",
                reason: "it is \(size), and \(Self.sizeMin) to \(EngineLimits.tokenCountMax) tokens are allowed")
        }
        var tokens = StringTable()
        var merges = StringTable()
        tokens.reserve(count: size)
        for byte in Self.byteOrder { tokens.append(Array(String(Self.character(for: byte)).utf8)) }
        let wordCount = size - Self.sizeMin
        merges.reserve(count: wordCount)
        // Words grow letter by letter: each is a shorter one (or a single character) and one letter more.
        var words: [[UInt8]] = [Array(String(Self.character(for: 0x20)).utf8)]
        words += Self.letters.map { [$0] }
        var next = 0
        while merges.count < wordCount {
            for letter in Self.letters where merges.count < wordCount {
                let word = words[next] + [letter]
                words.append(word)
                tokens.append(word)
                merges.append(words[next] + [0x20, letter])
            }
            next += 1
        }
        for text in Self.controlTokens { tokens.append(text.utf8) }
        self.tokens = tokens
        self.merges = merges
    }

    /// The tokenizer's metadata entries.
    package var metadata: [MetadataEntry] {
        let count = tokens.count
        let types = [Int32](repeating: 1, count: count - 3) + [3, 3, 3]
        let values: [(String, MetadataValue)] = [
            ("model", .text("gpt2")), ("pre", .text("qwen2")), ("tokens", .array(.string(tokens))),
            ("token_type", .array(.int32(types))), ("merges", .array(.string(merges))),
            ("bos_token_id", .uint32(UInt32(count - 3))), ("eos_token_id", .uint32(UInt32(count - 1))),
            ("eot_token_id", .uint32(UInt32(count - 1))), ("padding_token_id", .uint32(UInt32(count - 3))),
            ("add_bos_token", .bool(false)), ("add_space_prefix", .bool(false)),
        ]
        return values.map { MetadataEntry(key: "tokenizer.ggml.\($0.0)", value: $0.1) }
            + [MetadataEntry(key: "tokenizer.chat_template", value: .text(Self.chatTemplate))]
    }

    private static let letters = Array("abcdefghijklmnopqrstuvwxyz".utf8)

    /// The bytes that stand for themselves, then the others: the order of GPT-2's vocabulary.
    private static let byteOrder: [UInt8] =
        (0...255).filter { isPrintable($0) } + (0...255).filter { !isPrintable($0) }

    private static func isPrintable(_ byte: UInt8) -> Bool {
        (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte)
    }

    /// The character that stands for a byte: itself where it is printable, else one from U+0100 on, in order.
    package static func character(for byte: UInt8) -> Character {
        if isPrintable(byte) { return Character(Unicode.Scalar(byte)) }
        let place = (0..<byte).filter { !isPrintable($0) }.count
        return Character(Unicode.Scalar(UInt16(0x100 + place)) ?? "?")
    }
}
