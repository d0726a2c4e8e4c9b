import Vocabulary

extension Ollama {
    /// The field `keep_alive`.
    enum KeepAliveField {
        /// Longest time that is told from "for ever". **Units:** milliseconds; a hundred years.
        private static let longest: Double = 36_500 * 86_400_000

        /// Reads a number of seconds, or a duration as Go writes it: `5m`, `1h30m`, `-1s`.
        static func decode(_ field: Field) throws(DialectError) -> Vocabulary.KeepAlive {
            if field.node.number != nil {
                let seconds = try field.number(in: -.greatestFiniteMagnitude ... .greatestFiniteMagnitude)
                return keepAlive(milliseconds: seconds * 1000)
            }
            guard field.node.string != nil else { throw field.wrongType(expected: "a number or a duration") }
            let text = try field.string(atMost: Limits.durationBytes)
            if let time = milliseconds(text) { return keepAlive(milliseconds: time) }
            throw .invalidValue(
                field: field.name, value: "'\(clipped(text))'",
                expected: "seconds, or a duration such as '5m' or '1h30m'")
        }

        private static func keepAlive(milliseconds: Double) -> Vocabulary.KeepAlive {
            if milliseconds == 0 { return .unload }
            if milliseconds < 0 || milliseconds > longest { return .forever }
            return .milliseconds(UInt64(max(1, milliseconds)))
        }

        /// **Units:** milliseconds.
        private static let units: [String: Double] = [
            "ns": 1e-6, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000,
        ]

        /// A duration in milliseconds; nil when the text is none.
        private static func milliseconds(_ text: String) -> Double? {
            var rest = Substring(text)
            let sign: Double = rest.first == "-" ? -1 : 1
            if let first = rest.first, first == "-" || first == "+" { rest = rest.dropFirst() }
            if let plain = Double(rest), rest.allSatisfy(isNumeral) { return sign * plain * 1000 }
            guard !rest.isEmpty else { return nil }
            var sum: Double = 0
            while !rest.isEmpty {
                let number = rest.prefix(while: isNumeral)
                rest = rest.dropFirst(number.count)
                let unit = rest.prefix { !isNumeral($0) }
                rest = rest.dropFirst(unit.count)
                guard let value = Double(number), let size = units[String(unit)] else { return nil }
                sum += value * size
            }
            return sign * sum
        }

        private static func isNumeral(_ character: Character) -> Bool {
            character == "." || ("0"..."9").contains(character)
        }
    }
}
