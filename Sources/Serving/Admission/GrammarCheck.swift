/// What a GBNF grammar may not have because the engine library's parser does not survive it: groups within groups
/// overflow its stack, and a repetition whose bounds are the wrong way round never ends. Everything else is the
/// library's to judge.
package enum GrammarCheck {
    /// Groups within groups.
    package static let depthLimit = 128
    /// How often a repetition may demand its part; the library has the same bound. A larger upper bound it takes for
    /// none: that is one rule, where a bound is a rule for each time, so no memory is at stake.
    package static let repetitionLimit = 2000

    /// Why the grammar must not reach the library, in words with the numbers; nil when it may.
    package static func refusal(of grammar: String) -> String? {
        var scanner = Scanner(bytes: Array(grammar.utf8))
        return scanner.refusal()
    }

    private struct Scanner {
        let bytes: [UInt8]
        var position = 0
        var depth = 0

        mutating func refusal() -> String? {
            while position < bytes.count {
                let byte = bytes[position]
                position += 1
                switch byte {
                case 0: return "it has a NUL character at byte \(position - 1)"
                case UInt8(ascii: "#"): skip(to: UInt8(ascii: "\n"), escapes: false)
                case UInt8(ascii: "\""): skip(to: UInt8(ascii: "\""), escapes: true)
                case UInt8(ascii: "["): skip(to: UInt8(ascii: "]"), escapes: true)
                case UInt8(ascii: "("):
                    depth += 1
                    if depth > depthLimit { return "its groups are nested more than \(depthLimit) deep" }
                case UInt8(ascii: ")"): depth = max(0, depth - 1)
                case UInt8(ascii: "{"): if let reason = repetition() { return reason }
                default: break
                }
            }
            return nil
        }

        private mutating func skip(to end: UInt8, escapes: Bool) {
            while position < bytes.count, bytes[position] != end {
                if bytes[position] == 0 { return }
                position += escapes && bytes[position] == UInt8(ascii: "\\") ? 2 : 1
            }
            position += 1
        }

        /// The bounds behind an opening brace; what is no repetition is left to the library.
        private mutating func repetition() -> String? {
            var bounds: [UInt64?] = [nil]
            while position < bytes.count, bytes[position] != UInt8(ascii: "}") {
                let byte = bytes[position]
                position += 1
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"):
                    let (tens, isTooLarge) = (bounds[bounds.count - 1] ?? 0).multipliedReportingOverflow(by: 10)
                    let (value, isTooLargeNow) = tens.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
                    guard !isTooLarge, !isTooLargeNow else { return "it repeats so often that 64 bits do not hold it" }
                    bounds[bounds.count - 1] = value
                    if bounds.count == 1, value > repetitionLimit {
                        return "it demands more than \(repetitionLimit) times the same"
                    }
                case UInt8(ascii: ",") where bounds.count == 1: bounds.append(nil)
                case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: "\r"): break
                default: return nil
                }
            }
            if bounds.count == 2, let least = bounds[0], let most = bounds[1], least > most {
                return "it repeats at least \(least) and at most \(most) times"
            }
            return nil
        }
    }
}
