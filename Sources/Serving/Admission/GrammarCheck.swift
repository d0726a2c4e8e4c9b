/// What a GBNF grammar may not have because the engine library does not survive it: what its parser writes out without
/// bound, what overflows its stack, and what it follows for ever. Everything else is the library's to judge.
///
/// **Source:** llama.cpp, src/llama-grammar.cpp.
package enum GrammarCheck {
    /// Groups within groups: each is two calls of the library's parser, one within the other.
    package static let depthLimit = 128
    /// How often a repetition may demand its part; the library has the same bound. A larger upper bound it takes for
    /// none: that is one rule, where a bound is a rule for each time, so no memory is at stake.
    package static let repetitionLimit = 2000
    /// Elements that the library writes: a character, a reference or the end of an alternative each, repetitions
    /// written out. While it compiles it keeps 8 bytes of each up to three times and about 200 bytes of each rule, and
    /// a rule has two elements or more: 120 MB at most.
    package static let elementLimit = 1_000_000
    /// Names of the rules that the library makes of groups and repetitions: it gives them that of the rule they stand
    /// in. **Units:** bytes.
    package static let nameByteLimit = 64 << 20
    /// Rules of which each may begin with the next: as many calls within one another, of about 100 bytes each, on a
    /// stack that may have 512 KiB.
    package static let chainLimit = 3000
    /// Elements that the library reads in its search for left recursion; and places in rules that it compares when it
    /// lists what comes next. At 2 to 4 ns each they take about a second.
    package static let stepLimit = 250_000_000

    /// Why the grammar must not reach the library; nil when it may. Takes time in proportion to the text and
    /// `elementLimit`.
    package static func refusal(of grammar: String) -> GrammarRefusal? {
        do throws(GrammarStop) {
            var beginnings = GrammarBeginnings(try GrammarReader.outline(of: Array(grammar.utf8)))
            try beginnings.check()
            return nil
        } catch {
            return switch error {
            case .malformed: nil
            case .refused(let refusal): refusal
            }
        }
    }
}

/// Why a check of a grammar ended early.
enum GrammarStop: Error {
    /// The library refuses the text here, and says why.
    case malformed
    /// The library must not see it.
    case refused(GrammarRefusal)
}

/// Why a grammar must not reach the engine library.
package enum GrammarRefusal: Hashable, Sendable {
    /// The library takes it for the end of the text.
    case zeroByte(at: Int)
    /// Groups are nested beyond `GrammarCheck.depthLimit`.
    case tooDeep
    /// A part is demanded more often than `GrammarCheck.repetitionLimit`.
    case demandsTooOften
    /// A bound of a repetition has more than 64 bits.
    case hugeBound
    /// The bounds of a repetition are the wrong way round: the library makes rules for ever.
    case backwards(least: UInt64, most: UInt64)
    /// Written out, it has more than `GrammarCheck.elementLimit`.
    case tooManyElements
    /// The made rules' names are beyond `GrammarCheck.nameByteLimit`.
    case longNames
    /// A rule may begin with itself. The library sees that for itself unless it happens behind what is empty by
    /// another rule: then it may go round for ever.
    case leftRecursion(rule: String)
    /// From this rule on more than `GrammarCheck.chainLimit` rules may begin with one another.
    case longChain(rule: String)
    /// The ways to begin, up to those of this rule, take more than `GrammarCheck.stepLimit` steps to follow.
    case tooManySteps(rule: String)

    /// What the grammar is like, with the numbers.
    package var reason: String {
        switch self {
        case .zeroByte(let position): "it has a NUL character at byte \(position)"
        case .tooDeep: "its groups are nested more than \(GrammarCheck.depthLimit) deep"
        case .demandsTooOften: "it demands more than \(GrammarCheck.repetitionLimit) times the same"
        case .hugeBound: "it repeats so often that 64 bits do not hold it"
        case .backwards(let least, let most): "it repeats at least \(least) and at most \(most) times"
        case .tooManyElements: "with its repetitions written out it has more than \(GrammarCheck.elementLimit) elements"
        case .longNames: "the names of rules it is made into have more than \(GrammarCheck.nameByteLimit) bytes"
        case .leftRecursion(let rule): "its rule '\(rule)' may begin with itself"
        case .longChain(let rule):
            "more than \(GrammarCheck.chainLimit) rules begin with one another, from '\(rule)' on"
        case .tooManySteps(let rule):
            "up to its rule '\(rule)' more than \(GrammarCheck.stepLimit) steps lead to what rules begin with"
        }
    }

    /// What is allowed, and what to do.
    package var limit: String {
        switch self {
        case .zeroByte: "it must be text without NUL characters"
        case .tooDeep: "give inner groups rules of their own"
        case .demandsTooOften, .hugeBound:
            "a part may be demanded \(GrammarCheck.repetitionLimit) times; leave out a larger upper bound"
        case .backwards: "write the larger bound last"
        case .tooManyElements: "repeat shorter parts or less often; lengths and counts of items in a schema repeat, too"
        case .longNames: "give rules, or the properties of a schema, shorter names"
        case .leftRecursion: "let it begin with something that is not empty"
        case .longChain: "let more of them begin with a text"
        case .tooManySteps: "let rules begin with fewer others, or offer fewer choices at once"
        }
    }
}
