/// Grammars as people write them, and as the engine library makes them of schemas.
enum GrammarExamples {
    static let all = [json, arithmetic, chess, program, list, person, choices]

    private static let json = #"""
        # A JSON value
        root   ::= object
        value  ::= object | array | string | number | ("true" | "false" | "null") ws
        object ::=
          "{" ws (
                    string ":" ws value
            ("," ws string ":" ws value)*
          )? "}" ws
        array  ::=
          "[" ws (
                    value
            ("," ws value)*
          )? "]" ws
        string ::=
          "\"" (
            [^"\\\x7F\x00-\x1F] |
            "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) # escapes
          )* "\"" ws
        number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
        ws ::= | " " | "\n" [ \t]{0,20}
        """#

    private static let arithmetic = #"""
        root  ::= (sum "=" ws term "\n")+
        sum   ::= term ([-+*/] term)*
        term  ::= name | number | "(" ws sum ")" ws
        name  ::= [a-z] [a-z0-9]* ws
        number ::= [0-9]+ ws
        ws    ::= [ \t\n]*
        """#

    private static let chess = #"""
        root   ::= "1. " move " " move "\n" ([1-9] [0-9]? ". " move " " move "\n")+
        move   ::= (pawn | piece | castle) [+#]?
        piece  ::= [NBKQR] [a-h]? [1-8]? "x"? [a-h] [1-8]
        pawn   ::= ([a-h] "x")? [a-h] [1-8] ("=" [NBKQR])?
        castle ::= "O-O" "-O"?
        """#

    private static let program = #"""
        root ::= declaration*
        declaration ::= type name "(" parameter? ")" "{" statement* "}"
        type ::= "int" ws | "float" ws
        name ::= [a-zA-Z_] [a-zA-Z_0-9]*
        parameter ::= type name
        statement ::=
            ( type name ws "=" ws expression ";" ) |
            ( name ws "=" ws expression ";" ) |
            ( "while" "(" expression ")" "{" statement* "}" ) |
            ( comment )
        expression ::= term (("+" | "-") term)*
        term ::= factor(("*" | "/") factor)*
        factor ::= name | [0-9]+ | "-" factor | name "(" expression ("," ws expression)* ")" | "(" ws expression ws ")"
        comment ::= "/*" ( [^*] | ("*" [^/]) )* "*/"
        ws ::= ([ \t\n]+)
        """#

    private static let list = #"root ::= ("- " [^\r\n\x0b\x0c\x85\u2028\u2029]+ "\n")+"#

    /// An object with required and optional properties, strings with bounds, a date, and others allowed.
    private static let person = #"""
        additional-k ::= ["] ( [a] ([g] ([e] char+ | [^"e] char*) | [^"g] char*) | [n] char+ | [^"an] char* )? ["]
        additional-kv ::= additional-k ":" space value
        additional-rest ::= ( "," space additional-kv )*
        age ::= ([0-9] | ([1-8] [0-9] | [9] [0-9]) | "1" ([0-4] [0-9] | [5] "0"))
        age-kv ::= "\"age\"" space ":" space age
        age-rest ::= ( "," space born-kv )? additional-rest
        array ::= "[" space ( value ("," space value)* )? space "]"
        boolean ::= ("true" | "false")
        born-kv ::= "\"born\"" space ":" space date-string
        char ::= [^"\\\x7F\x00-\x1F] | [\\] (["\\bfnrt] | "u" [0-9a-fA-F]{4})
        date ::= [0-9]{4} "-" ( "0" [1-9] | "1" [0-2] ) "-" ( "0" [1-9] | [1-2] [0-9] | "3" [0-1] )
        date-string ::= "\"" date "\""
        decimal-part ::= [0-9]{1,16}
        integral-part ::= [0] | [1-9] [0-9]{0,15}
        name ::= "\"" char{1,2000} "\""
        name-kv ::= "\"name\"" space ":" space name
        null ::= "null"
        number ::= ("-"? integral-part) ("." decimal-part)? ([eE] [-+]? integral-part)?
        object ::= "{" space ( string ":" space value ("," space string ":" space value)* )? space "}"
        person ::= "{" space name-kv ( "," space ( age-kv age-rest | born-kv additional-rest | additional-kv
            ( "," space additional-kv )* ) )? space "}"
        root ::= "[" space person ("," space person){9,99} space "]"
        space ::= | " " | "\n"{1,2} [ \t]{0,20}
        string ::= "\"" char* "\""
        value ::= object | array | string | number | boolean | null
        """#

    /// A thousand optional properties, each behind the one before it, and a thousand values.
    private static let choices: String = {
        let count = 1000
        let pairs = (0..<count).map { "p\($0)-kv ::= \"\\\"p\($0)\\\"\" space \":\" space kind\n" }
        let rests = (0..<count - 1).map { index in
            let next = index + 1 < count - 1 ? " p\(index + 1)-rest" : ""
            return "p\(index)-rest ::= ( \",\" space p\(index + 1)-kv )?\(next)\n"
        }
        let begins = (0..<count).map { $0 < count - 1 ? "p\($0)-kv p\($0)-rest" : "p\($0)-kv" }
        let kinds = (0..<count).map { "\"\\\"kind \($0)\\\"\"" }
        return """
            \(pairs.joined())\(rests.joined())root ::= "{" space  (\(begins.joined(separator: " | ")) )? space "}"
            kind ::= (\(kinds.joined(separator: " | ")))
            space ::= | " " | "\\n"{1,2} [ \\t]{0,20}

            """
    }()
}
