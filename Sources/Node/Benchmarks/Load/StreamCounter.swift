/// Counts the pieces and tokens of a stream of lines, however its bytes were cut.
struct StreamCounter: Sendable {
    private let shape: StreamShape
    /// The line that has not ended.
    private var rest: [UInt8] = []
    /// Pieces so far.
    private(set) var pieces = 0
    /// Tokens as the server counts them, once it said so.
    private(set) var outputTokens: Int?
    /// Whether a line was longer than `BenchLimits.lineBytes`; nothing is counted after it.
    private(set) var isTooLong = false

    init(_ shape: StreamShape) { self.shape = shape }

    /// Takes bytes and returns how many pieces they completed.
    mutating func feed(_ bytes: some Collection<UInt8>) -> Int {
        guard !isTooLong else { return 0 }
        let before = pieces
        var searched = rest.count
        guard rest.count + bytes.count <= BenchLimits.lineBytes else {
            isTooLong = true
            return 0
        }
        rest.append(contentsOf: bytes)
        var start = 0
        while let end = rest[searched...].firstIndex(of: UInt8(ascii: "\n")) {
            take(rest[start..<end])
            start = end + 1
            searched = start
        }
        if start > 0 { rest.removeSubrange(..<start) }
        return pieces - before
    }

    private mutating func take(_ line: ArraySlice<UInt8>) {
        if let value = Self.value(of: shape.pieceKey, in: line), value + 1 < line.endIndex,
            line[value] == UInt8(ascii: "\""), line[value + 1] != UInt8(ascii: "\"")
        {
            pieces += 1
        }
        if let value = Self.value(of: shape.countKey, in: line) {
            let digits = line[value...].prefix { (0x30...0x39).contains($0) }
            if let number = Int(String(decoding: digits.prefix(12), as: UTF8.self)) { outputTokens = number }
        }
    }

    /// Where the value of the first such key begins. Within a JSON text a quote is escaped, so a quoted key that is
    /// followed by a colon is a key.
    private static func value(of key: [UInt8], in line: ArraySlice<UInt8>) -> Int? {
        var place = line.startIndex
        while let quote = line[place...].firstIndex(of: UInt8(ascii: "\"")) {
            place = quote + 1
            guard line[quote...].starts(with: key) else { continue }
            var next = quote + key.count
            while next < line.endIndex, line[next] == UInt8(ascii: " ") { next += 1 }
            guard next < line.endIndex, line[next] == UInt8(ascii: ":") else { continue }
            next += 1
            while next < line.endIndex, line[next] == UInt8(ascii: " ") { next += 1 }
            return next < line.endIndex ? next : nil
        }
        return nil
    }
}
