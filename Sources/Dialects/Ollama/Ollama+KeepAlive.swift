extension Ollama {
    /// How long a model is wanted in memory after a request. Deployments stay up here, so only "unload now" matters.
    enum KeepAlive: Hashable, Sendable {
        /// At once: 0 as number or duration.
        case unload
        /// For some time, or for ever (negative).
        case stay

        /// Reads a number of seconds, or a duration as Go writes it: `5m`, `1h30m`, `-1s`.
        static func decode(_ field: Field) throws(DialectError) -> KeepAlive {
            if field.node.number != nil {
                return try field.number(in: -.greatestFiniteMagnitude ... .greatestFiniteMagnitude) == 0
                    ? .unload : .stay
            }
            guard field.node.string != nil else { throw field.wrongType(expected: "a number or a duration") }
            let text = try field.string(atMost: Limits.durationBytes)
            if let isZero = isZeroDuration(text) { return isZero ? .unload : .stay }
            throw .invalidValue(
                field: field.name, value: "'\(clipped(text))'",
                expected: "seconds, or a duration such as '5m' or '1h30m'")
        }

        private static let units: Set<String> = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"]

        /// Whether a duration is zero; nil when it is none.
        private static func isZeroDuration(_ text: String) -> Bool? {
            var rest = Substring(text)
            if let sign = rest.first, sign == "-" || sign == "+" { rest = rest.dropFirst() }
            if let plain = Double(rest), rest.allSatisfy(isNumeral) { return plain == 0 }
            guard !rest.isEmpty else { return nil }
            var isZero = true
            while !rest.isEmpty {
                let number = rest.prefix(while: isNumeral)
                rest = rest.dropFirst(number.count)
                let unit = rest.prefix { !isNumeral($0) }
                rest = rest.dropFirst(unit.count)
                guard let value = Double(number), units.contains(String(unit)) else { return nil }
                if value != 0 { isZero = false }
            }
            return isZero
        }

        private static func isNumeral(_ character: Character) -> Bool {
            character == "." || ("0"..."9").contains(character)
        }
    }
}
