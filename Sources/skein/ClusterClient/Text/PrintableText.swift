/// Text that others wrote, made safe for a terminal.
enum PrintableText {
    /// The text without letters that move the cursor, colour it or turn its direction.
    static func of(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars { result.append(isHarmless(scalar) ? scalar : "\u{FFFD}") }
        return String(result)
    }

    private static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .surrogate: false
        // Format letters turn the direction of text; a joiner within an emoji does no harm.
        case .format: scalar == "\u{200D}"
        default: true
        }
    }
}
