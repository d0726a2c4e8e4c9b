/// Reads a JSON text strictly and within bounds.
///
/// RFC 8259 without leniency: no comments, no trailing commas, no NaN, valid UTF-8 only, whole surrogate pairs only.
/// Beyond the RFC it refuses duplicate keys (two readers must not see two requests in one text), and keys that
/// differ only in Unicode normalisation count as duplicates.
/// **Throws:** `JSONError` with the byte offset. Total: no input traps.
/// **Source:** RFC 8259.
package struct JSONReader {
    private let bytes: [UInt8]
    private let maxDepth: Int
    private let maxNodes: Int
    private var position = 0
    private var nodeCount = 0
    /// Where strings with escapes are put together.
    private var scratch: [UInt8] = []

    private init(bytes: [UInt8], maxDepth: Int, maxNodes: Int) {
        self.bytes = bytes
        self.maxDepth = maxDepth
        self.maxNodes = maxNodes
    }

    /// Reads the one value a text consists of.
    ///
    /// **Throws:** `JSONError` when the text is beyond a limit or not JSON, with the byte offset.
    package static func read(
        _ bytes: [UInt8], maxBytes: Int = Limits.bodyBytes, maxDepth: Int = Limits.jsonDepth,
        maxNodes: Int = Limits.jsonNodes
    ) throws(JSONError) -> JSONNode {
        guard bytes.count <= maxBytes else { throw .tooLarge(bytes: bytes.count, limit: maxBytes) }
        var reader = JSONReader(bytes: bytes, maxDepth: maxDepth, maxNodes: maxNodes)
        let node = try reader.value(depth: 0)
        reader.skipSpace()
        guard reader.position == bytes.count else { throw .trailingBytes(offset: reader.position) }
        return node
    }

    // MARK: Values

    /// `key` is that of the member the value is, or is in the array of.
    private mutating func value(depth: Int, of key: String? = nil) throws(JSONError) -> JSONNode {
        skipSpace()
        let offset = position
        guard let byte = peek else { throw .unexpectedEnd(offset: offset, expected: "a value") }
        nodeCount += 1
        guard nodeCount <= maxNodes else { throw .tooManyValues(offset: offset, limit: maxNodes) }
        switch byte {
        case UInt8(ascii: "{"): return JSONNode(.object(try object(depth: depth)), offset: offset)
        case UInt8(ascii: "["): return JSONNode(.array(try array(depth: depth, of: key)), offset: offset)
        case UInt8(ascii: "\""): return JSONNode(.string(try string()), offset: offset)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            return JSONNode(.number(try number(of: key)), offset: offset)
        case UInt8(ascii: "t"): try word("true")
        case UInt8(ascii: "f"): try word("false")
        case UInt8(ascii: "n"): try word("null")
        default:
            try refuseNonFinite(from: offset, of: key)
            throw .unexpectedByte(offset: offset, byte: byte, expected: "a value")
        }
        return JSONNode(
            byte == UInt8(ascii: "n") ? .null : .bool(byte == UInt8(ascii: "t")), offset: offset)
    }

    private mutating func word(_ word: String) throws(JSONError) {
        for expected in word.utf8 {
            guard let byte = peek else { throw .unexpectedEnd(offset: position, expected: "'\(word)'") }
            guard byte == expected else {
                throw .unexpectedByte(offset: position, byte: byte, expected: "'\(word)'")
            }
            position += 1
        }
    }

    private mutating func array(depth: Int, of key: String?) throws(JSONError) -> [JSONNode] {
        guard depth < maxDepth else { throw .tooDeep(offset: position, limit: maxDepth) }
        position += 1
        var elements: [JSONNode] = []
        skipSpace()
        if peek == UInt8(ascii: "]") {
            position += 1
            return elements
        }
        while true {
            elements.append(try value(depth: depth + 1, of: key))
            if try !another(closing: UInt8(ascii: "]")) { return elements }
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> [JSONMember] {
        guard depth < maxDepth else { throw .tooDeep(offset: position, limit: maxDepth) }
        let offset = position
        position += 1
        var members: [JSONMember] = []
        members.reserveCapacity(4)
        var keys = KeySet()
        skipSpace()
        if peek == UInt8(ascii: "}") {
            position += 1
            return members
        }
        while true {
            skipSpace()
            let keyOffset = position
            guard let byte = peek else { throw .unexpectedEnd(offset: position, expected: "a key") }
            guard byte == UInt8(ascii: "\"") else {
                throw .unexpectedByte(offset: position, byte: byte, expected: "a key in quotes")
            }
            let key = try string()
            guard members.count < Limits.objectMembers else {
                throw .tooManyMembers(offset: offset, limit: Limits.objectMembers)
            }
            guard keys.insert(key, among: members) else { throw .duplicateKey(offset: keyOffset, key: key) }
            skipSpace()
            guard let colon = peek else { throw .unexpectedEnd(offset: position, expected: "':'") }
            guard colon == UInt8(ascii: ":") else {
                throw .unexpectedByte(offset: position, byte: colon, expected: "':'")
            }
            position += 1
            members.append(JSONMember(key: key, value: try value(depth: depth + 1, of: key)))
            if try !another(closing: UInt8(ascii: "}")) { return members }
        }
    }

    /// Steps over the comma (true) or the closing bracket (false) after an element.
    private mutating func another(closing: UInt8) throws(JSONError) -> Bool {
        skipSpace()
        let expected = closing == UInt8(ascii: "]") ? "',' or ']'" : "',' or '}'"
        guard let byte = peek else { throw .unexpectedEnd(offset: position, expected: expected) }
        guard byte == closing || byte == UInt8(ascii: ",") else {
            throw .unexpectedByte(offset: position, byte: byte, expected: expected)
        }
        position += 1
        return byte != closing
    }

    // MARK: Numbers

    private mutating func number(of key: String?) throws(JSONError) -> JSONNumber {
        let start = position
        if peek == UInt8(ascii: "-") {
            position += 1
            if peek.map(isDigit) != true { try refuseNonFinite(from: start, of: key) }
        }
        if peek == UInt8(ascii: "0") {
            position += 1
        } else {
            try digits()
        }
        if peek == UInt8(ascii: ".") {
            position += 1
            try digits()
        }
        if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
            position += 1
            if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { position += 1 }
            try digits()
        }
        guard position - start <= Limits.numberBytes else {
            throw .numberTooLong(offset: start, limit: Limits.numberBytes)
        }
        return JSONNumber(text: String(decoding: bytes[start..<position], as: UTF8.self))
    }

    /// Throws when what other languages write for no number, or for one beyond all, stands at the position.
    private func refuseNonFinite(from start: Int, of key: String?) throws(JSONError) {
        for word in ["NaN", "Infinity"] where bytes[position...].starts(with: word.utf8) {
            throw .nonFinite(offset: start, word: word, key: key)
        }
    }

    private mutating func digits() throws(JSONError) {
        guard let first = peek else { throw .unexpectedEnd(offset: position, expected: "a digit") }
        guard isDigit(first) else { throw .unexpectedByte(offset: position, byte: first, expected: "a digit") }
        while let byte = peek, isDigit(byte) { position += 1 }
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    // MARK: Strings

    /// The string whose opening quote is at the position.
    private mutating func string() throws(JSONError) -> String {
        position += 1
        let start = position
        try skipPlain()
        guard bytes[position] == UInt8(ascii: "\\") else {
            let text = String(decoding: bytes[start..<position], as: UTF8.self)
            position += 1
            return text
        }
        return try escapedString(from: start)
    }

    /// The rest of a string with escapes; the position is at the first backslash.
    private mutating func escapedString(from start: Int) throws(JSONError) -> String {
        scratch.removeAll(keepingCapacity: true)
        scratch.append(contentsOf: bytes[start..<position])
        while bytes[position] == UInt8(ascii: "\\") {
            if let scalar = UTF8.encode(try escape()) { scratch.append(contentsOf: scalar) }
            let clean = position
            try skipPlain()
            scratch.append(contentsOf: bytes[clean..<position])
        }
        position += 1
        return String(decoding: scratch, as: UTF8.self)
    }

    /// The bytes of a string that need no look: ASCII without control characters, quote and backslash.
    private static let isPlain: [Bool] = (0..<256).map { $0 >= 0x20 && $0 < 0x80 && $0 != 0x22 && $0 != 0x5C }

    /// Steps to the next quote or backslash of a string.
    private mutating func skipPlain() throws(JSONError) {
        let bytes = bytes
        var cursor = position
        while cursor < bytes.count {
            let byte = bytes[cursor]
            if Self.isPlain[Int(byte)] {
                cursor += 1
            } else if byte >= 0x80 {
                cursor += try scalarLength(at: cursor)
            } else if byte < 0x20 {
                throw .controlCharacter(offset: cursor, byte: byte)
            } else {
                position = cursor
                return
            }
        }
        throw .unexpectedEnd(offset: cursor, expected: "the end of a string")
    }

    private mutating func escape() throws(JSONError) -> Unicode.Scalar {
        let start = position
        position += 1
        guard let byte = peek else { throw .unexpectedEnd(offset: position, expected: "an escape") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): break
        default: throw .invalidEscape(offset: start)
        }
        let first = try hexadecimal()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
            bytes[position + 1] == UInt8(ascii: "u")
        else { throw .loneSurrogate(offset: start) }
        position += 2
        let second = try hexadecimal()
        guard (0xDC00..<0xE000).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw .loneSurrogate(offset: start) }
        return scalar
    }

    private mutating func hexadecimal() throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = peek else { throw .unexpectedEnd(offset: position, expected: "a hexadecimal digit") }
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: throw .unexpectedByte(offset: position, byte: byte, expected: "a hexadecimal digit")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }

    /// The length of the scalar of two to four bytes that starts there.
    ///
    /// **Source:** The Unicode Standard, table 3-7, "Well-formed UTF-8 byte sequences".
    private func scalarLength(at start: Int) throws(JSONError) -> Int {
        let (length, second): (Int, ClosedRange<UInt8>)
        switch bytes[start] {
        case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: throw .invalidUTF8(offset: start)
        }
        guard start + length <= bytes.count, second.contains(bytes[start + 1]) else {
            throw .invalidUTF8(offset: start)
        }
        for index in start + 2..<max(start + length, start + 2) where bytes[index] & 0xC0 != 0x80 {
            throw .invalidUTF8(offset: start)
        }
        return length
    }

    // MARK: Bytes

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }
}

/// The keys of an object being read: compared one by one while few, hashed when many.
private struct KeySet {
    /// Above this many members a table is faster than comparing.
    private static let fewMembers = 12
    private var table: Set<String> = []

    /// Adds a key; false when the object has it.
    mutating func insert(_ key: String, among members: [JSONMember]) -> Bool {
        guard members.count >= Self.fewMembers else { return !members.contains { $0.key == key } }
        if table.isEmpty { table = Set(members.map(\.key)) }
        return table.insert(key).inserted
    }
}
