import Serving
import Testing
import Vocabulary

@Suite struct `The check of grammars` {
    @Test(arguments: [
        ("root ::= \"a\"{5,2}", "at least 5 and at most 2"), ("root ::= \"a\"{ 3 , 1 }", "at least 3 and at most 1"),
        ("root ::= \"a\"{2001}", "more than 2000"), ("root ::= \"a\"{2001,}", "more than 2000"),
        ("root ::= \"a\"{3000,5000}", "more than 2000"), ("root ::= [a-z]{0,18446744073709551616}", "64 bits"),
        ("root ::= " + String(repeating: "(", count: 129), "128 deep"), ("root ::= \"a\"\0", "NUL"), ("\0", "NUL"),
        ("# \0", "NUL"), ("root ::= \"\0", "NUL"),
    ])
    func `refuses what the library does not survive`(grammar: String, reason: String) {
        #expect(GrammarCheck.refusal(of: grammar)?.contains(reason) == true, "\(grammar.prefix(40))")
    }

    @Test(arguments: [
        "root ::= \"yes\" | \"no\"", "root ::= \"a\"{2,5} \"b\"{0,2000} \"c\"{3} \"d\"{2,}",
        "root ::= \"{5,2}\" [{5,2}]",
        "root ::= \"\\\"{5,2}\" # {5,2} ((((", "root ::= [\\]{5,2}]", "root ::= (\"a\" (\"b\" (\"c\")?)?)?", "", "{",
        "{5,2",
        "{x,y}", "root ::= " + String(repeating: "(\"a\") ", count: 1000),
    ])
    func `leaves the rest to the library`(grammar: String) {
        let isOpen = grammar == "{5,2"
        #expect((GrammarCheck.refusal(of: grammar) == nil) != isOpen, "\(grammar.prefix(40))")
    }

    @Test(arguments: ["{0,5000}", "{2000,2001}", "{,5000}", "{0, 18446744073709551615 }"])
    func `lets an upper bound pass that the library takes for none`(bounds: String) {
        #expect(GrammarCheck.refusal(of: "root ::= [a-z]\(bounds)") == nil)
    }

    @Test func `takes any bytes`() {
        var random = SeededRandom(seed: 5)
        let letters = Array("(){}[]\"\\#\n0123456789, ab:=|*+?\0")
        for _ in 0..<3000 {
            let text = String((0..<random.below(60)).map { _ in letters[random.below(letters.count)] })
            _ = GrammarCheck.refusal(of: text)
        }
    }
}
