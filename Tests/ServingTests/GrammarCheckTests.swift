import Serving
import Testing
import Vocabulary

@Suite struct `The check of grammars` {
    private static func reason(_ grammar: String) -> String? { GrammarCheck.refusal(of: grammar)?.reason }

    /// A text of so many characters, as it stands in a grammar.
    private static func text(_ count: Int) -> String { "\"" + String(repeating: "a", count: count) + "\"" }

    @Test(arguments: [
        ("root ::= \"a\"{5,2}", "at least 5 and at most 2"), ("root ::= \"a\"{ 3 , 1 }", "at least 3 and at most 1"),
        ("root ::= \"a\"{2001}", "more than 2000"), ("root ::= \"a\"{2001,}", "more than 2000"),
        ("root ::= \"a\"{3000,5000}", "more than 2000"), ("root ::= [a-z]{0,18446744073709551616}", "64 bits"),
        ("root ::= " + String(repeating: "(", count: 129), "128 deep"), ("root ::= \"a\"\0", "NUL"), ("\0", "NUL"),
        ("# \0", "NUL"), ("root ::= \"\0", "NUL"),
    ])
    func `refuses what the library does not survive`(grammar: String, reason: String) {
        #expect(Self.reason(grammar)?.contains(reason) == true, "\(grammar.prefix(40))")
        #expect(GrammarCheck.refusal(of: grammar)?.limit.isEmpty == false)
    }

    @Test(arguments: [
        "root ::= \"yes\" | \"no\"", "root ::= \"a\"{2,5} \"b\"{0,2000} \"c\"{3} \"d\"{2,}",
        "root ::= \"{5,2}\" [{5,2}]",
        "root ::= \"\\\"{5,2}\" # {5,2} ((((", "root ::= [\\]{5,2}]", "root ::= (\"a\" (\"b\" (\"c\")?)?)?", "", "{",
        "{5,2", "{x,y}", "root ::= " + String(repeating: "(\"a\") ", count: 1000),
        "root ::= <[1000]> thinking </think> .*\nthinking ::= !</think>* !<[7]>", "root ::= <{5,2}>",
        "root ::= \"\\x41\\u00e9\\U0001F600\\t\\\\\" [^\\]\\-a-z-] [-+] [] \"\"", "root ::= \"a\"{0} \"b\"{0,0}",
        "root ::= \"é😀\"{2}\r\nother ::=\r\n\"x\" |\n\"y\"", "root ::= (\n\"a\" # {5,2}\n| \"b\"\n)",
        "root ::= nothing",
    ])
    func `leaves the rest to the library`(grammar: String) {
        #expect(Self.reason(grammar) == nil, "\(grammar.prefix(40))")
    }

    @Test(arguments: [
        "root = ", "::= ", "root ::= )", "root ::= *", "root ::= \"a\" :", "root ::= \"a\\q\"", "root ::= \"\\xg\"",
        "root ::= \"a\" {,5}", "root ::= \"a\" {1;2}", "root ::= (\"a\"", "root ::= \"a\"\n|", "root ::= <[a]>",
        "root ::= !a", "root ::= \"a\"{0}*", "root ::= (\"b\"? \"c\"){2000}",
    ])
    func `reads no further than the library does`(fault: String) {
        #expect(Self.reason(fault + "\nother ::= \"a\"{5,2}") == nil, "\(fault)")
    }

    @Test(arguments: ["{0,5000}", "{2000,2001}", "{,5000}", "{0, 18446744073709551615 }"])
    func `lets an upper bound pass that the library takes for none`(bounds: String) {
        #expect(Self.reason("root ::= [a-z]\(bounds)") == nil)
    }

    // MARK: Elements

    @Test func `bounds the elements of a grammar written out`() {
        func isBounded(at most: Int, _ grammar: (Int) -> String) -> Bool {
            Self.reason(grammar(most)) == nil
                && Self.reason(grammar(most + 1))?.contains("more than 1000000 elements") == true
        }
        #expect(isBounded(at: 999_999) { "root ::= \(Self.text($0))" })
        // 500 characters, as many for each time, and the end.
        #expect(isBounded(at: 1998) { "root ::= \(Self.text(500)){\($0)}" })
        // A reference, its copy, and 2000 rules of four elements for each.
        #expect(
            isBounded(at: 124) { "root ::= \(String(repeating: "char{0,2000} ", count: $0))\nchar ::= \"c\"" })
        // Every `+` goes on with what the one before has made: n² + 5n.
        #expect(isBounded(at: 997) { "root ::= \"a\"\(String(repeating: "+", count: $0))" })
        // Repeating once costs a copy.
        #expect(isBounded(at: 998) { "root ::= \(Self.text(1000))\(String(repeating: "{1}", count: $0))" })
    }

    @Test func `refuses large texts and many parts that are repeated often`() {
        #expect(Self.reason("root ::= \(Self.text(200_000)){2000}")?.contains("elements") == true)
        let many = String(repeating: "\"a\"{2000} ", count: 25_000)
        #expect(Self.reason("root ::= " + many)?.contains("elements") == true)
        // A group is a rule of its own, which is not written out with what refers to it.
        #expect(Self.reason("root ::= ((\"a\"{2000}){2000} \"b\")") == nil)
    }

    @Test func `bounds the names of the rules that repetitions become`() {
        func grammar(_ length: Int) -> String { String(repeating: "n", count: length) + " ::= \"a\"{0,2000}" }
        #expect(Self.reason(grammar(33_554)) == nil)
        #expect(Self.reason(grammar(33_555))?.contains("67108864 bytes") == true)
    }

    // MARK: Beginnings

    /// Rules that may each begin with the next in two ways.
    private static func doubled(_ depth: Int) -> String {
        "root ::= a0\n" + (0..<depth).map { "a\($0) ::= a\($0 + 1) \"x\" | a\($0 + 1) \"y\"\n" }.joined()
            + "a\(depth) ::= \"z\"\n"
    }

    @Test func `bounds the ways to begin that are compared`() {
        // 2¹² ways of 13 places: 218 million.
        #expect(Self.reason(Self.doubled(12)) == nil)
        #expect(Self.reason(Self.doubled(13))?.contains("'a0' more than 250000000 steps") == true)
        #expect(Self.reason(Self.doubled(60))?.contains("steps") == true)
        func choices(_ count: Int) -> String { "root ::= \"a\"" + String(repeating: " | \"a\"", count: count - 1) }
        #expect(Self.reason(choices(15_811)) == nil)
        #expect(Self.reason(choices(15_812))?.contains("steps") == true)
    }

    @Test func `counts the ways behind what may be empty`() {
        func grammar(empty: String) -> String {
            (0..<60).map { "a\($0) ::= e a\($0 + 1) \"x\" | e a\($0 + 1) \"y\"\n" }.joined()
                + "a60 ::= \"z\"\nroot ::= a0\ne ::= d\nd ::= \(empty)"
        }
        for empty in ["\"q\"?", "\"q\"*", "\"q\" |", "(\"q\"? | \"r\")", "\"\"", "\"q\"{0}"] {
            #expect(Self.reason(grammar(empty: empty))?.contains("steps") == true, "\(empty)")
        }
        for full in ["\"q\"", "\"q\"+", "[q]", ".", "<[1]>", "\"q\"{1,3}"] {
            #expect(Self.reason(grammar(empty: full)) == nil, "\(full)")
        }
    }

    @Test func `refuses the unions of references that a schema becomes`() {
        let rules = (0..<60).map {
            "ref\($0) ::= ref\($0)-0 | ref\($0)-1\nref\($0)-0 ::= ref\($0 + 1)\nref\($0)-1 ::= ref\($0 + 1)\n"
        }
        let ends = "ref60 ::= \"null\"\nroot ::= ref0\nspace ::= | \" \" | \"\\n\"{1,2} [ \\t]{0,20}\n"
        #expect(Self.reason(rules.joined() + ends)?.contains("steps") == true)
    }

    @Test func `bounds the elements that the search for left recursion reads`() {
        // A rule of 9,998 elements, and many of two that begin with it.
        func grammar(_ count: Int) -> String {
            "leaf ::= \(Self.text(9_997))\n" + (0..<count).map { "b\($0) ::= leaf\n" }.joined()
        }
        #expect(Self.reason(grammar(24_999)) == nil)
        #expect(Self.reason(grammar(25_000))?.contains("steps") == true)
    }

    @Test func `bounds the rules that begin with one another`() {
        func chain(_ count: Int) -> String {
            "root ::= r1\n" + (1..<count - 1).map { "r\($0) ::= r\($0 + 1)\n" }.joined() + "r\(count - 1) ::= \"a\"\n"
        }
        #expect(Self.reason(chain(3000)) == nil)
        #expect(Self.reason(chain(3001))?.contains("3000 rules begin with one another, from 'root'") == true)
    }

    @Test(arguments: [
        ("root ::= e root \"x\" | \"b\"\ne ::= d\nd ::= \"q\" |", "'root'"),
        ("root ::= \"(\" expr \")\"\nexpr ::= ws expr \"+\" expr | \"1\"\nws ::= [ ]*", "'expr'"),
        ("root ::= root \"a\" | \"b\"", "'root'"), ("root ::= a\na ::= b\nb ::= root \"x\" | \"y\"", "'root'"),
        // Two loops at once.
        ("root ::= e a | e b\na ::= e root\nb ::= e root\ne ::= d\nd ::= |", "'root'"),
    ])
    func `refuses rules that begin with themselves and go on`(grammar: String, rule: String) {
        #expect(Self.reason(grammar)?.contains("\(rule) may begin with itself") == true, "\(grammar)")
    }

    @Test(arguments: [
        "root ::= (\"a\"?)*", "root ::= ((\"a\"? \"b\"*)* \"c\"?)+", "root ::= (\"a\"?){0,1000}",
        "root ::= line root?\nline ::= \"a\"* \"\\n\"?", "root ::= root", "root ::= a\na ::= root | \"b\"",
    ])
    func `lets repetitions of what may be empty pass, and loops that the library sees`(grammar: String) {
        #expect(Self.reason(grammar) == nil, "\(grammar)")
    }

    // MARK: Any text

    @Test(arguments: GrammarExamples.all)
    func `takes grammars as they are written and as schemas become`(grammar: String) {
        #expect(Self.reason(grammar) == nil, "\(grammar)")
    }

    @Test func `takes any bytes`() {
        var random = SeededRandom(seed: 5)
        let letters = Array("(){}[]\"\\#\n0123456789, ab:=|*+?<>!^-.é\0")
        for _ in 0..<3000 {
            let text = String((0..<random.below(60)).map { _ in letters[random.below(letters.count)] })
            _ = GrammarCheck.refusal(of: text)
        }
    }

    @Test func `takes any parts of grammars`() {
        var random = SeededRandom(seed: 6)
        let parts = [
            "root ::= ", "a ::= ", "b ::= ", "root", "a", "b", "(", ")", "{2,3}", "{0}", "*", "+", "?", "\"x\"",
            "[a-z]",
            " ", " ", " | ", " | ", "\n", "\n", "#c\n", "<[1]>",
        ]
        for _ in 0..<3000 {
            let text = "root ::= " + (0..<random.below(40)).map { _ in parts[random.below(parts.count)] }.joined()
            _ = GrammarCheck.refusal(of: text)
        }
    }

    /// Were the check slower than in proportion to the text, these would not end.
    @Test(arguments: [
        "(", "[", "\"", "#", "#\n", "<", "{", "\\", "|", "!", "\"a\"", "\"a\" ", "a ", "a::=", "a ::= a\n", "(a) ",
        "( | ",
        "\"a\"? ", "é", "{1}", "root ::= (a)\n", "aaaaaaaaaaaaaaaa", "\n",
    ])
    func `takes large texts of anything`(part: String) {
        let repeated = String(repeating: part, count: (1 << 15) / part.utf8.count)
        for beginning in ["", "root ::= ", "root ::= \"", "root ::= \(Self.text(1000))"] {
            _ = GrammarCheck.refusal(of: beginning + repeated)
        }
    }
}
