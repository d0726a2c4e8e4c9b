/// The checks of `GGUFFile.validate()` that concern the tokenizer.
struct TokenizerCheck {
    let file: GGUFFile

    private static let prefix = "tokenizer.ggml."
    /// Tokenizers whose special ids have a default in the engine: (bos, eos, separator).
    private static let defaults: [String: (bos: Int, eos: Int, separator: Int)] = [
        "llama": (1, 2, -1), "bert": (101, -1, 102), "gpt2": (11, 11, -1), "hybriddna": (11, 11, -1),
        "whitespace": (11, 11, -1), "t5": (-1, 1, -1), "rwkv": (-1, -1, -1), "test": (-1, -1, -1),
        "plamo2": (1, 2, -1), "gemma4": (-1, -1, -1),
    ]

    func run(_ list: inout FindingList) {
        let modelKey = Self.prefix + "model"
        guard let value = file[modelKey] else { return }
        guard let name = value.byteString?.text else {
            return list.error(.wrongType, modelKey, "is \(value.type), expected str")
        }
        if name == "no_vocab" || name == "none" { return }
        guard let defaults = Self.defaults[name] else {
            return list.error(.unknownValue, modelKey, "is '\(name)', which the engine does not know")
        }
        guard let tokens = strings(&list, "tokens", isRequired: true) else { return }
        // All that follows takes time and memory by the token.
        guard tokens.count <= EngineLimits.tokenCountMax else {
            return list.error(
                .outOfRange, Self.prefix + "tokens",
                "has \(tokens.count) elements, expected at most \(EngineLimits.tokenCountMax)")
        }
        let types = tokenTypes(&list, count: tokens.count)
        checkScores(&list, count: tokens.count)
        checkTexts(&list, tokens)
        checkByteTokens(&list, name, tokens, types)
        if ["gpt2", "hybriddna", "whitespace", "gemma4"].contains(name) {
            // Kimi's tokenizer works without merge rules.
            let isRequired = file.string(Self.prefix + "pre") != "kimi-k2"
            if let merges = strings(&list, "merges", isRequired: isRequired) { checkMerges(&list, merges) }
        }
        checkSpecialTokens(&list, defaults, count: tokens.count)
        if name == "rwkv", !(0..<tokens.count).contains(where: { isNewline(tokens[$0]) }) {
            list.error(.missingByteToken, Self.prefix + "tokens", "has no newline token, which the engine asserts")
        }
    }

    /// An array of `str` under `tokenizer.ggml.<name>`, with findings when it is absent or of another type.
    private func strings(_ list: inout FindingList, _ name: String, isRequired: Bool) -> StringTable? {
        let key = Self.prefix + name
        guard let value = file[key] else {
            if isRequired { list.error(.missingKey, key, "the tokenizer needs it") }
            return nil
        }
        if let table = value.array?.strings { return table }
        let actual = value.array.map { "an array of \($0.elementType)" } ?? value.type.description
        list.error(.wrongType, key, "is \(actual), expected an array of str")
        return nil
    }

    /// The engine reads the token types as 32-bit integers whatever they are, as many as there are tokens.
    private func tokenTypes(_ list: inout FindingList, count: Int) -> [Int32]? {
        let key = Self.prefix + "token_type"
        guard let value = file[key] else { return nil }
        guard case .array(.int32(let types)) = value else {
            let actual = value.array.map { "an array of \($0.elementType)" } ?? value.type.description
            list.error(.wrongType, key, "is \(actual), expected an array of i32")
            return nil
        }
        checkLength(&list, key, types.count, expected: count)
        return types
    }

    private func checkScores(_ list: inout FindingList, count: Int) {
        let key = Self.prefix + "scores"
        guard let value = file[key] else { return }
        guard let array = value.array, array.elementType == .float32 || array.elementType == .int32 else {
            let actual = value.array.map { "an array of \($0.elementType)" } ?? value.type.description
            return list.error(.wrongType, key, "is \(actual), expected an array of f32")
        }
        checkLength(&list, key, array.count, expected: count)
    }

    private func checkLength(_ list: inout FindingList, _ key: String, _ count: Int, expected: Int) {
        if count < expected {
            list.error(.wrongLength, key, "has \(count) elements for \(expected) tokens")
        } else if count > expected {
            list.warning(.wrongLength, key, "has \(count) elements for \(expected) tokens")
        }
    }

    /// The engine aborts on two tokens of the same text; it cuts a text at a zero byte and names empty ones.
    private func checkTexts(_ list: inout FindingList, _ tokens: StringTable) {
        let key = Self.prefix + "tokens"
        if tokens.count == 0 { list.error(.wrongLength, key, "has no element") }
        var seen = Set<ArraySlice<UInt8>>(minimumCapacity: tokens.count)
        for index in 0..<tokens.count {
            var text = tokens[index]
            if text.count > EngineLimits.tokenByteCountMax {
                list.error(
                    .longToken, key,
                    "token \(index) has \(text.count) bytes, expected at most \(EngineLimits.tokenByteCountMax)")
            }
            if let zero = text.firstIndex(of: 0) {
                list.warning(.cutToken, key, "token \(index) has a zero byte and is cut there")
                text = text[..<zero]
            }
            // An empty one gets a name by its place, so that only a token which spells that name out can be its equal.
            if text.isEmpty { continue }
            let isNameOfEmpty = Self.emptyToken(text).map { $0 < tokens.count && Self.isEmpty(tokens[$0]) } ?? false
            if isNameOfEmpty || !seen.insert(text).inserted {
                list.error(.duplicateToken, key, "token \(index) has the text of another one")
            }
        }
    }

    /// Whether the engine takes a text for empty: it reads up to the first zero byte.
    private static func isEmpty(_ text: ArraySlice<UInt8>) -> Bool { (text.first ?? 0) == 0 }

    /// The place of the token that the engine calls `[EMPTY_7]`, or nil for any other text.
    static func emptyToken(_ text: ArraySlice<UInt8>) -> Int? {
        let start = "[EMPTY_"
        guard text.last == 0x5D, text.starts(with: start.utf8) else { return nil }
        let digits = String(decoding: text.dropFirst(start.utf8.count).dropLast(), as: UTF8.self)
        guard let index = Int(digits), index >= 0, String(index) == digits else { return nil }
        return index
    }

    private func checkByteTokens(
        _ list: inout FindingList, _ model: String, _ tokens: StringTable, _ types: [Int32]?
    ) {
        let key = Self.prefix + "tokens"
        var isPresent = [Bool](repeating: false, count: 256)
        for index in 0..<tokens.count {
            if let byte = Self.byteToken(tokens[index]) {
                isPresent[Int(byte)] = true
            } else if let types, index < types.count, types[index] == EngineLimits.byteTokenType {
                list.error(.malformedByteToken, key, "token \(index) is a byte token, but not of the form <0xHH>")
            }
        }
        guard let missing = isPresent.firstIndex(of: false) else { return }
        switch model {
        case "plamo2": list.error(.missingByteToken, key, "has no token for byte \(missing)")
        case "llama": list.warning(.missingByteToken, key, "has no token for byte \(missing)")
        default: break
        }
    }

    /// The byte that `<0xHH>` stands for, or nil for any other text.
    static func byteToken(_ text: ArraySlice<UInt8>) -> UInt8? {
        guard text.count == 6, text.starts(with: [0x3C, 0x30, 0x78]), text.last == 0x3E else { return nil }
        guard let high = hexDigit(text[text.startIndex + 3]), let low = hexDigit(text[text.startIndex + 4]) else {
            return nil
        }
        return high << 4 | low
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }

    /// A rule is `first second`; the engine looks for the space from the second byte on.
    private func checkMerges(_ list: inout FindingList, _ merges: StringTable) {
        let key = Self.prefix + "merges"
        for index in 0..<merges.count {
            let rule = merges[index]
            if rule.count > 2 * EngineLimits.tokenByteCountMax {
                list.error(.longToken, key, "rule \(index) has \(rule.count) bytes")
            }
            if !rule.dropFirst().contains(0x20) {
                list.warning(.malformedMerge, key, "rule \(index) has no space between two parts")
            }
        }
    }

    private func checkSpecialTokens(
        _ list: inout FindingList, _ defaults: (bos: Int, eos: Int, separator: Int), count: Int
    ) {
        for name in [
            "bos", "eos", "eot", "eom", "unknown", "seperator", "padding", "cls", "mask", "fim_pre", "fim_suf",
            "fim_mid", "fim_pad", "fim_rep", "fim_sep", "prefix", "suffix", "middle",
        ] {
            let key = "\(Self.prefix)\(name)_token_id"
            guard let value = file[key] else { continue }
            guard case .uint32(let token) = value else {
                list.error(.wrongType, key, "is \(value.type), expected u32")
                continue
            }
            if Int(token) >= count {
                list.warning(.strayToken, key, "is \(token), but the vocabulary has \(count) tokens")
            }
        }
        requireToken(&list, "add_bos_token", "bos", defaults.bos, count)
        requireToken(&list, "add_eos_token", "eos", defaults.eos, count)
        requireToken(&list, "add_sep_token", "seperator", defaults.separator, count)
    }

    /// The engine asserts, at the first prompt, that a token it was told to add exists.
    private func requireToken(
        _ list: inout FindingList, _ flag: String, _ token: String, _ fallback: Int, _ count: Int
    ) {
        let flagKey = Self.prefix + flag
        guard let value = file[flagKey] else { return }
        guard let isOn = value.bool else {
            return list.error(.wrongType, flagKey, "is \(value.type), expected bool")
        }
        let key = "\(Self.prefix)\(token)_token_id"
        let hasOwn = file.unsigned(key).map { $0 < UInt64(count) } ?? false
        let hasDefault = fallback >= 0 && fallback < count
        if isOn && !hasOwn && !hasDefault {
            list.error(.strayToken, key, "does not name a token, but \(flagKey) is true")
        }
    }

    /// The newline of an RWKV vocabulary stands there escaped or as itself.
    private func isNewline(_ text: ArraySlice<UInt8>) -> Bool {
        text.elementsEqual([0x0A]) || text.elementsEqual([0x5C, 0x6E]) || text.elementsEqual("\\x0a".utf8)
            || text.elementsEqual("\\x0A".utf8)
    }
}
