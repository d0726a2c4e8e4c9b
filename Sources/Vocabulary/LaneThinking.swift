/// How a lane's answer thinks, and how long it may.
package struct LaneThinking: Hashable, Sendable, Codable {
    /// The text that begins thinking, looked for at the very beginning of the answer only; empty when the prompt ends
    /// inside of it.
    package var start: String
    /// Texts that end it; the first one is written when the budget is used up.
    package var ends: [String]
    /// `closings[n]` are the tokens that write all of the first ending but its first `n` bytes.
    package var closings: [[Token]]
    /// The prompt ends inside of thinking: the answer's first token belongs to it.
    package var isOpen: Bool
    /// Tokens it may have, at least 0, those of its marks not counted; nil is unbounded.
    package var budget: Int32?

    /// Makes a description; `ends` and `closings` MUST NOT be empty.
    package init(start: String, ends: [String], closings: [[Token]], isOpen: Bool, budget: Int32? = nil) {
        self.start = start
        self.ends = ends
        self.closings = closings
        self.isOpen = isOpen
        self.budget = budget
    }
}
