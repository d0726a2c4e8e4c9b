package import Vocabulary

/// Follows an answer through its thinking and says when thinking has to end.
///
/// A function of the answer's tokens alone, so that a replay of them (another stage count, guesses, another machine)
/// leads to the same place. Tokens of the marks are not counted.
package struct ThinkingMeter: Sendable {
    private enum Phase: Equatable {
        /// Nothing but white space and perhaps a part of the opening mark came so far.
        case before
        case inside
        /// The ending is being written: the next token of this closing.
        case closing(written: Int, next: Int)
        case after
    }

    /// Tokens that the bytes of one scalar can be spread over, beyond the first one.
    private static let scalarSlack = 3

    private let thinking: LaneThinking
    private let start: [UInt8]
    private let ends: [[UInt8]]
    private let longestEnd: Int
    private var phase: Phase
    /// The newest bytes: all that may be the beginning of a mark, or of a scalar.
    private var tail: [UInt8] = []
    /// Where in `tail` tokens begin.
    private var starts: [Int] = []
    /// Tokens of thinking that begin before `tail`.
    private var older = 0
    private var ended: Int?

    /// Starts before the answer's first token.
    package init(_ thinking: LaneThinking) {
        self.thinking = thinking
        start = Array(thinking.start.utf8)
        ends = thinking.ends.map { Array($0.utf8) }
        longestEnd = ends.reduce(0) { max($0, $1.count) }
        phase = thinking.isOpen ? .inside : start.isEmpty ? .after : .before
    }

    /// Whether the answer is thinking, or thinking is being ended.
    package var isThinking: Bool {
        switch phase {
        case .inside, .closing: true
        case .before, .after: false
        }
    }

    /// Tokens of thinking so far.
    package var count: Int { ended ?? (older + starts.count) }

    /// The token that has to come next; nil leaves it to the model.
    package var forced: Token? {
        switch phase {
        case .before, .after: return nil
        case .inside: return (tokensLeft ?? 1) <= 0 ? closing(written)?.first : nil
        case .closing(let written, let next): return closing(written)?[next]
        }
    }

    /// The token to take in place of what the model chose; nil when its choice stands.
    ///
    /// A choice that would leave a character unfinished when the budget ends makes thinking end in front of it.
    package func correction(of token: Token, bytes: [UInt8]) -> Token? {
        if let forced { return forced }
        guard phase == .inside, let left = tokensLeft, left <= Self.scalarSlack else { return nil }
        return ScalarDecoder.missingBytes(atEndOf: tail + bytes) > left - 1 ? closing(written)?.first : nil
    }

    /// Takes the answer's next token.
    package mutating func push(_ token: Token, bytes: [UInt8]) {
        switch phase {
        case .after:
            break
        case .before:
            begin(bytes)
        case .closing(let written, let next):
            phase = next + 1 < (closing(written)?.count ?? 0) ? .closing(written: written, next: next + 1) : .after
        case .inside:
            let written = written
            if let left = tokensLeft, left <= Self.scalarSlack, let closing = closing(written), closing.first == token {
                end(at: tail.count - written)
                phase = closing.count > 1 ? .closing(written: written, next: 1) : .after
            } else {
                starts.append(tail.count)
                follow(bytes)
            }
        }
    }

    private var tokensLeft: Int? { thinking.budget.map { Int($0) - (older + starts.count) } }

    private func closing(_ written: Int) -> [Token]? {
        guard thinking.closings.indices.contains(written), !thinking.closings[written].isEmpty else { return nil }
        return thinking.closings[written]
    }

    /// Bytes of the first ending that the answer ends with.
    private var written: Int {
        guard let end = ends.first else { return 0 }
        for length in stride(from: min(end.count - 1, tail.count), to: 0, by: -1)
        where tail.suffix(length).elementsEqual(end.prefix(length)) {
            return length
        }
        return 0
    }

    private mutating func begin(_ bytes: [UInt8]) {
        tail += bytes
        let text = tail.drop { $0 == 0x20 || (0x09...0x0D).contains($0) }
        tail = Array(text)
        if text.starts(with: start) {
            tail = []
            phase = .inside
            follow(Array(text.dropFirst(start.count)))
        } else if !start.starts(with: text) {
            tail = []
            phase = .after
        }
    }

    private mutating func follow(_ bytes: [UInt8]) {
        tail += bytes
        for index in tail.indices {
            for end in ends where !end.isEmpty && tail[index...].starts(with: end) {
                self.end(at: index)
                phase = .after
                return
            }
        }
        let surplus = tail.count - max(longestEnd - 1, Self.scalarSlack)
        guard surplus > 0 else { return }
        tail.removeFirst(surplus)
        let gone = starts.prefix { $0 < surplus }.count
        older += gone
        starts = starts.dropFirst(gone).map { $0 - surplus }
    }

    /// Tokens that begin at the mark or behind it are not thinking.
    private mutating func end(at index: Int) {
        ended = older + starts.count { $0 < index }
        (tail, starts) = ([], [])
    }
}
