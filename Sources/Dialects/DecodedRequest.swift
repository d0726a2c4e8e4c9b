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

    /// Makes a decoded request.
    package init(request: GenerationRequest, stream: Bool, includeUsage: Bool, warnings: [String]) {
        self.request = request
        self.stream = stream
        self.includeUsage = includeUsage
        self.warnings = warnings
    }
}

/// What was accepted but has no effect; each said once, and no more than `Limits.warnings` of them.
struct Warnings: Sendable {
    private(set) var sentences: [String] = []
    private var dropped = 0

    mutating func add(_ sentence: String) {
        guard !sentences.contains(sentence) else { return }
        if sentences.count < Limits.warnings { sentences.append(sentence) } else { dropped += 1 }
    }

    mutating func addUnknown(_ name: String) {
        add("'\(clipped(name))' is not a known parameter and has no effect.")
    }

    /// The sentences, and how many more there were.
    var all: [String] { dropped > 0 ? sentences + ["There are \(dropped) more warnings."] : sentences }
}
