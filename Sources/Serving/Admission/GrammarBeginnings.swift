/// What the rules of a grammar may begin with, and what it costs the engine library to find out.
///
/// The library walks from each rule to those it may begin with, again for every way that leads there: first in search
/// of left recursion, one call within another, then for the list of what may come next, in which every new entry is
/// compared with all others. The same walk is counted here, with the part of each rule remembered. It goes on behind
/// every rule that may be empty, where the library's search goes on only behind those that are so by an empty
/// alternative of their own, so it counts no less than either.
struct GrammarBeginnings {
    /// What a walk from one rule meets.
    private struct Walk {
        /// Ways to a character or token.
        var wayCount = 0
        /// Places in rules that the library keeps for these ways: where each is, and where it goes on behind.
        var placeCount = 0
        /// Elements of the rules on all ways, as often as they are met.
        var readCount = 0
        /// Rules of which each may begin with the next.
        var chainLength = 1
        var mayBeEmpty = false
    }

    private enum State {
        case unseen
        /// The walk is within it, so many rules deep.
        case entered(depth: Int)
        /// Done, but it leads back to a rule that is not.
        case looping
        case known(Walk)
    }

    /// A rule that is walked through.
    private struct Frame {
        let rule: Int
        let depth: Int
        /// The depth from which on each rule ends where the next one does.
        let tail: Int
        /// The loops' rules that were done before.
        let doneCount: Int
        /// The next element.
        var position: Int
        /// The least depth it leads back to; its own where it leads back to nothing before.
        var loop: Int
        /// Whether one of its elements leads back to it or further.
        var isOnLoop = false
        var walk: Walk
    }

    private let outline: GrammarOutline
    private var states: [State]
    private var looping: [Int] = []
    private var readCount = 0

    init(_ outline: GrammarOutline) {
        self.outline = outline
        states = Array(repeating: .unseen, count: outline.rules.count)
    }

    /// Walks from every rule.
    ///
    /// **Throws:** `refused` for left recursion that does not end and for what exceeds the limits of chains and steps.
    mutating func check() throws(GrammarStop) {
        for rule in outline.rules.indices {
            if case .unseen = states[rule] { try walk(from: rule) }
        }
    }

    private mutating func walk(from rule: Int) throws(GrammarStop) {
        var frames = [enter(rule, depth: 0, tail: 0)]
        while var frame = frames.popLast() {
            if let (next, isLast) = try advance(&frame) {
                let depth = frame.depth + 1
                frames.append(frame)
                frames.append(enter(next, depth: depth, tail: isLast ? frame.tail : depth))
                continue
            }
            let part = try finish(frame)
            guard var whole = frames.popLast() else { return }
            if frame.loop <= whole.depth { try lead(&whole, backTo: frame.loop) }
            add(part, to: &whole)
            frames.append(whole)
        }
    }

    private mutating func enter(_ rule: Int, depth: Int, tail: Int) -> Frame {
        states[rule] = .entered(depth: depth)
        let range = outline.rules[rule]
        return Frame(
            rule: rule, depth: depth, tail: tail, doneCount: looping.count, position: range.lowerBound, loop: depth,
            walk: Walk(readCount: range.count))
    }

    /// Goes on to the rule's end; answers the rule that has to be known before, and whether it is the alternative's
    /// last element.
    private func advance(_ frame: inout Frame) throws(GrammarStop) -> (rule: Int, isLast: Bool)? {
        while frame.position < outline.rules[frame.rule].upperBound {
            switch outline.elements[frame.position] {
            case .end:
                frame.walk.mayBeEmpty = true
                frame.position += 1
            case .terminal:
                frame.walk.wayCount += 1
                frame.walk.placeCount += 1
                skipAlternative(&frame)
            case .rule(let next):
                switch states[next] {
                case .unseen: return (next, isLast(frame.position))
                case .known(let part): add(part, to: &frame)
                case .entered(let depth) where isLast(frame.position) && depth >= frame.tail:
                    // Nothing is left to do behind the loop, so the library sees that it has been there.
                    if depth < frame.depth { try lead(&frame, backTo: depth) }
                    skipAlternative(&frame)
                case .entered, .looping: throw .refused(.leftRecursion(rule: outline.name(of: next)))
                }
            }
        }
        return nil
    }

    private func isLast(_ position: Int) -> Bool { outline.elements[position + 1] == .end }

    private func skipAlternative(_ frame: inout Frame) {
        while outline.elements[frame.position] != .end { frame.position += 1 }
        frame.position += 1
    }

    /// Adds what the rule at the frame's position meets.
    private func add(_ part: Walk, to frame: inout Frame) {
        frame.walk.wayCount += part.wayCount
        frame.walk.placeCount += part.placeCount + (isLast(frame.position) ? 0 : part.wayCount)
        frame.walk.readCount += part.readCount
        frame.walk.chainLength = max(frame.walk.chainLength, part.chainLength + 1)
        if part.mayBeEmpty { frame.position += 1 } else { skipAlternative(&frame) }
    }

    /// Notes that an element leads back. A rule on two loops is refused: the library's search might go round one for
    /// every turn of the other.
    private func lead(_ frame: inout Frame, backTo depth: Int) throws(GrammarStop) {
        guard !frame.isOnLoop else { throw .refused(.leftRecursion(rule: outline.name(of: frame.rule))) }
        frame.isOnLoop = true
        frame.loop = min(frame.loop, depth)
    }

    /// Takes down what a rule meets, and answers it.
    private mutating func finish(_ frame: Frame) throws(GrammarStop) -> Walk {
        let isDone = frame.loop == frame.depth
        // What one rule of a loop meets, each of them does, once round the loop at most.
        let done = isDone ? Array(looping[frame.doneCount...]) + [frame.rule] : []
        var walk = frame.walk
        walk.chainLength += max(0, done.count - 1)
        guard walk.chainLength <= GrammarCheck.chainLimit else {
            throw .refused(.longChain(rule: outline.name(of: frame.rule)))
        }
        // The library searches from each rule it has not met, which depends on their order; from each is no less.
        readCount += max(1, done.count) * walk.readCount
        let (compared, isTooMany) = walk.wayCount.multipliedReportingOverflow(by: walk.placeCount)
        guard !isTooMany, compared <= GrammarCheck.stepLimit, readCount <= GrammarCheck.stepLimit else {
            throw .refused(.tooManySteps(rule: outline.name(of: frame.rule)))
        }
        if isDone {
            for rule in done { states[rule] = .known(walk) }
            looping.removeLast(looping.count - frame.doneCount)
        } else {
            states[frame.rule] = .looping
            looping.append(frame.rule)
        }
        return walk
    }
}
