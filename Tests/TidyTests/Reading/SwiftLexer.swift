/// Splits Swift source into tokens: enough to tell code from strings, comments and regular expressions, no more.
///
/// It never fails: what it does not understand becomes single-character symbols.
struct SwiftLexer {
    private let bytes: [UInt8]
    private var position = 0
    private var line = 1
    private var lineHasToken = false
    private var lastEnd = -1
    private(set) var tokens: [SwiftToken] = []

    static func tokens(of bytes: [UInt8]) -> [SwiftToken] {
        var lexer = SwiftLexer(bytes: bytes)
        lexer.skipHashBang()
        lexer.lexCode(untilParenthesis: false)
        return lexer.tokens
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
        tokens.reserveCapacity(bytes.count / 5)
    }

    private func byte(_ ahead: Int = 0) -> UInt8 {
        let index = position + ahead
        return index < bytes.count ? bytes[index] : 0
    }

    private mutating func skipHashBang() {
        guard byte() == Ascii.hash, byte(1) == Ascii.exclamation else { return }
        while position < bytes.count, byte() != Ascii.newline { position += 1 }
    }

    /// Lexes code to the end, or past the `)` that closes an interpolation.
    private mutating func lexCode(untilParenthesis: Bool) {
        var depth = 0
        while position < bytes.count {
            let current = byte()
            switch current {
            case Ascii.newline:
                newLine()
            case Ascii.space, Ascii.tab, Ascii.carriageReturn:
                position += 1
            case Ascii.openParenthesis:
                depth += 1
                symbol(length: 1)
            case Ascii.closeParenthesis:
                depth -= 1
                symbol(length: 1)
                if untilParenthesis, depth == 0 { return }
            default:
                lexToken(startingWith: current)
            }
        }
    }

    private mutating func newLine() {
        position += 1
        line += 1
        lineHasToken = false
    }

    private mutating func lexToken(startingWith current: UInt8) {
        switch current {
        case Ascii.slash where byte(1) == Ascii.slash: lexLineComment()
        case Ascii.slash where byte(1) == Ascii.asterisk: lexBlockComment()
        case Ascii.slash where startsRegex(): lexRegex(hashes: 0)
        case Ascii.quote: lexString(hashes: 0)
        case Ascii.hash: lexHash()
        case Ascii.backtick: lexQuotedIdentifier()
        case _ where Ascii.isDigit(current): lexNumber()
        case _ where Ascii.isWord(current): lexWord()
        default: lexSymbol(startingWith: current)
        }
    }

    /// Emits `bytes[start..<position]` (or `content`) as one token that began on `startLine`.
    private mutating func emit(
        _ kind: SwiftToken.Kind, from start: Int, line startLine: Int, content: Range<Int>? = nil
    ) {
        let range = content ?? start..<position
        let text = String(decoding: bytes[range], as: UTF8.self)
        tokens.append(
            SwiftToken(
                kind: kind, text: text, line: startLine, endLine: line, startsLine: !lineHasToken,
                touchesPrevious: start == lastEnd))
        lineHasToken = true
        lastEnd = position
    }

    private mutating func symbol(length: Int) {
        let start = position
        position += length
        emit(.symbol, from: start, line: line)
    }

    private mutating func lexSymbol(startingWith current: UInt8) {
        let next = byte(1)
        switch current {
        case Ascii.minus where next == Ascii.greater: symbol(length: 2)
        case Ascii.exclamation where next == Ascii.equals: symbol(length: byte(2) == Ascii.equals ? 3 : 2)
        case Ascii.dot where next == Ascii.dot && (byte(2) == Ascii.dot || byte(2) == Ascii.less): symbol(length: 3)
        default: symbol(length: 1)
        }
    }

    private mutating func lexWord() {
        let start = position
        while position < bytes.count, Ascii.isWord(bytes[position]) { position += 1 }
        emit(.word, from: start, line: line)
    }

    private mutating func lexNumber() {
        let start = position
        while Ascii.isWord(byte()) || (byte() == Ascii.dot && Ascii.isDigit(byte(1))) { position += 1 }
        emit(.number, from: start, line: line)
    }

    private mutating func lexQuotedIdentifier() {
        let start = position
        position += 1
        while position < bytes.count, byte() != Ascii.backtick, byte() != Ascii.newline { position += 1 }
        let content = start + 1..<position
        if byte() == Ascii.backtick { position += 1 }
        emit(.quoted, from: start, line: line, content: content)
    }

    private mutating func lexLineComment() {
        let start = position
        while position < bytes.count, byte() != Ascii.newline { position += 1 }
        let slashes = bytes[start..<position].prefix { $0 == Ascii.slash }.count
        if slashes == 3 {
            emit(.documentation, from: start, line: line, content: start + 3..<position)
        } else {
            emit(.comment, from: start, line: line)
        }
    }

    private mutating func lexBlockComment() {
        let start = position
        let startLine = line
        var depth = 0
        repeat {
            if byte() == Ascii.slash, byte(1) == Ascii.asterisk {
                depth += 1
                position += 2
            } else if byte() == Ascii.asterisk, byte(1) == Ascii.slash {
                depth -= 1
                position += 2
            } else {
                if byte() == Ascii.newline { line += 1 }
                position += 1
            }
        } while depth > 0 && position < bytes.count
        emit(.comment, from: start, line: startLine)
    }
}

// Strings and regular expressions.
extension SwiftLexer {
    /// `#` starts a raw string, an extended regex, or a directive (then it is a symbol).
    private mutating func lexHash() {
        var hashes = 1
        while byte(hashes) == Ascii.hash { hashes += 1 }
        switch byte(hashes) {
        case Ascii.quote: lexString(hashes: hashes)
        case Ascii.slash: lexRegex(hashes: hashes)
        default: symbol(length: 1)
        }
    }

    private mutating func lexString(hashes: Int) {
        var start = position
        var startLine = line
        position += hashes
        let isMultiline = byte(1) == Ascii.quote && byte(2) == Ascii.quote
        let quotes = isMultiline ? 3 : 1
        position += quotes
        var content = position
        while position < bytes.count {
            if closesString(quotes: quotes, hashes: hashes) {
                let end = position
                position += quotes + hashes
                emit(.literal, from: start, line: startLine, content: content..<end)
                return
            }
            if byte() == Ascii.newline {
                guard isMultiline else { break }
                newLine()
            } else if byte() == Ascii.backslash, hasHashes(hashes, at: 1) {
                let end = position
                position += 1 + hashes
                if byte() == Ascii.openParenthesis {
                    emit(.literal, from: start, line: startLine, content: content..<end)
                    lexCode(untilParenthesis: true)
                    (start, startLine, content) = (position, line, position)
                } else if byte() != Ascii.newline {
                    position += 1
                }
            } else {
                position += 1
            }
        }
        emit(.literal, from: start, line: startLine, content: content..<position)
    }

    private func hasHashes(_ count: Int, at ahead: Int) -> Bool {
        (0..<count).allSatisfy { byte(ahead + $0) == Ascii.hash }
    }

    private func closesString(quotes: Int, hashes: Int) -> Bool {
        guard byte() == Ascii.quote else { return false }
        return (0..<quotes).allSatisfy { byte($0) == Ascii.quote } && hasHashes(hashes, at: quotes)
    }

    /// Whether the `/` here opens a regex literal: where an operand is expected, and closed on the same line.
    private func startsRegex() -> Bool {
        let next = byte(1)
        guard next != Ascii.space, next != Ascii.newline, next != Ascii.equals, next != 0 else { return false }
        if let previous = tokens.last(where: { $0.kind != .comment && $0.kind != .documentation }) {
            switch previous.kind {
            case .word where !["return", "in", "case", "try", "await", "where"].contains(previous.text): return false
            case .quoted, .number, .literal: return false
            case .symbol where [")", "]", "}", "!", "?"].contains(previous.text): return false
            default: break
            }
        }
        var ahead = 1
        while byte(ahead) != Ascii.newline, byte(ahead) != 0 {
            if byte(ahead) == Ascii.slash { return true }
            ahead += byte(ahead) == Ascii.backslash ? 2 : 1
        }
        return false
    }

    private mutating func lexRegex(hashes: Int) {
        let start = position
        let startLine = line
        position += hashes + 1
        while position < bytes.count {
            if byte() == Ascii.slash, hasHashes(hashes, at: 1) {
                position += 1 + hashes
                break
            }
            if byte() == Ascii.newline { line += 1 }
            position += byte() == Ascii.backslash ? 2 : 1
        }
        position = min(position, bytes.count)
        emit(.literal, from: start, line: startLine)
    }
}
