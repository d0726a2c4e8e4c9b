/// A JSON number as it was written, with exact views of it.
package struct JSONNumber: Hashable, Sendable, CustomStringConvertible {
    /// The number as an integer.
    package enum Integer: Hashable, Sendable {
        /// Exactly this integer, also when written `1e3` or `2.0`.
        case exact(Int64)
        /// Not an integer.
        case fractional
        /// An integer that 64 bits do not hold.
        case outOfRange
    }

    /// The number as it was written.
    package let text: String

    /// Wraps text that follows the grammar of JSON numbers; the caller MUST have checked it.
    package init(text: String) { self.text = text }

    /// The number as it was written.
    package var description: String { text }

    /// Whether the number is written with a minus sign.
    package var isNegative: Bool { text.utf8.first == UInt8(ascii: "-") }

    /// The nearest double; nil when the number is beyond what a double holds (`1e309`).
    package var double: Double? {
        guard let value = Double(text), value.isFinite else { return nil }
        return value
    }

    /// The number as an exact integer: `1e3` and `2.0` are integers, `1.5` is not, `1e309` is out of range.
    package var integer: Integer {
        if let value = Int64(text) { return .exact(value) }
        var digits: [UInt8] = []
        var scale = 0
        var inFraction = false
        var rest = Array(text.utf8)[...]
        if isNegative { rest = rest.dropFirst() }
        while let byte = rest.first, byte != UInt8(ascii: "e"), byte != UInt8(ascii: "E") {
            rest = rest.dropFirst()
            if byte == UInt8(ascii: ".") {
                inFraction = true
            } else {
                digits.append(byte - UInt8(ascii: "0"))
                if inFraction { scale -= 1 }
            }
        }
        scale += Self.exponent(rest.dropFirst())
        return Self.integer(digits: digits, scale: scale, isNegative: isNegative)
    }

    /// The written exponent, held within ±100 000: far beyond what the longest number can make up for.
    private static func exponent(_ bytes: ArraySlice<UInt8>) -> Int {
        let isNegative = bytes.first == UInt8(ascii: "-")
        var value = 0
        for byte in bytes where byte != UInt8(ascii: "-") && byte != UInt8(ascii: "+") {
            value = min(value * 10 + Int(byte - UInt8(ascii: "0")), 100_000)
        }
        return isNegative ? -value : value
    }

    private static func integer(digits: [UInt8], scale: Int, isNegative: Bool) -> Integer {
        var digits = digits[...]
        var scale = scale
        while digits.last == 0 {
            digits = digits.dropLast()
            scale += 1
        }
        guard !digits.isEmpty else { return .exact(0) }
        guard scale >= 0 else { return .fractional }
        var value: Int64 = 0
        for index in 0..<(digits.count + scale) {
            let digit = index < digits.count ? Int64(digits[digits.startIndex + index]) : 0
            let (scaled, scaleOverflows) = value.multipliedReportingOverflow(by: 10)
            let (next, digitOverflows) = scaled.addingReportingOverflow(isNegative ? -digit : digit)
            guard !scaleOverflows, !digitOverflows else { return .outOfRange }
            value = next
        }
        return .exact(value)
    }
}
