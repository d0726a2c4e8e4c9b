package import Vocabulary

/// A client's request in our own form, with what concerns the answer's shape but not its content.
package struct DecodedRequest: Sendable {
    /// What to generate.
    package var request: GenerationRequest
    /// Send the answer piece by piece.
    package var stream: Bool
    /// With `stream`: end with a chunk of token counts.
    package var includeUsage: Bool
    /// What was accepted but has no effect here, a sentence each, for a response header and the log.
    package var warnings: [String]
    /// Prompts behind the request's own, each of which is answered like it (completions).
    package var furtherPrompts: [GenerationRequest.Prompt] = []

    /// Makes a decoded request.
    package init(request: GenerationRequest, stream: Bool, includeUsage: Bool, warnings: [String]) {
        self.request = request
        self.stream = stream
        self.includeUsage = includeUsage
        self.warnings = warnings
    }

    /// The warnings as the value of one response header; nil when there are none.
    ///
    /// **Encoding:** printable ASCII only, because warnings quote what the client wrote.
    package var warningHeader: String? { Self.warningHeader(warnings) }

    /// Sentences as the value of one response header; nil when there are none.
    package static func warningHeader(_ warnings: [String]) -> String? {
        guard !warnings.isEmpty else { return nil }
        let printable = warnings.joined(separator: " ").unicodeScalars.map { scalar in
            (0x20..<0x7F).contains(scalar.value) ? Character(scalar) : "?"
        }
        return String(printable.prefix(Limits.warningHeaderBytes))
    }
}
