/// The characters the lexer looks for.
enum Ascii {
    static let tab: UInt8 = 9
    static let newline: UInt8 = 10
    static let carriageReturn: UInt8 = 13
    static let space: UInt8 = 32
    static let exclamation: UInt8 = 33
    static let quote: UInt8 = 34
    static let hash: UInt8 = 35
    static let dollar: UInt8 = 36
    static let openParenthesis: UInt8 = 40
    static let closeParenthesis: UInt8 = 41
    static let asterisk: UInt8 = 42
    static let minus: UInt8 = 45
    static let dot: UInt8 = 46
    static let slash: UInt8 = 47
    static let less: UInt8 = 60
    static let equals: UInt8 = 61
    static let greater: UInt8 = 62
    static let backslash: UInt8 = 92
    static let underscore: UInt8 = 95
    static let backtick: UInt8 = 96
    static let closeBrace: UInt8 = 125
    static let tilde: UInt8 = 126

    static func isDigit(_ byte: UInt8) -> Bool { byte >= 48 && byte <= 57 }

    /// Letters, digits, `_`, `$`, and every byte of a character outside ASCII.
    static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 48...57, 65...90, 97...122, underscore, dollar, 128...255: true
        default: false
        }
    }
}
