import Testing
import Vocabulary

@testable import Dialects

@Suite struct `Schemas of answers` {
    private static func node(_ text: String) throws -> JSONNode { try JSONReader.read(Array(text.utf8)) }

    private static func gaps(_ schema: String) throws -> [String] {
        SchemaFeatures.gaps(in: Field(node: try node(schema), path: .member(.body, "s"))).map(\.field)
    }

    @Test(arguments: [
        #"{"type":"object","properties":{"a":{"type":"string","pattern":"^[a-z]+(-x)?$"}},"required":["a"]}"#,
        #"{"type":"object","additionalProperties":false,"properties":{"n":{"type":"integer","minimum":1}}}"#,
        ##"{"$defs":{"x":{"enum":["a","b"]}},"type":"array","items":{"$ref":"#/$defs/x"},"minItems":1,"maxItems":3}"##,
        #"{"title":"T","anyOf":[{"type":"null"},{"type":"string","format":"date-time"}],"default":null}"#,
        ##"{"type":"object","properties":{"p":{"allOf":[{"$ref":"#/$defs/p"}]}},"$defs":{"p":{"type":"boolean"}}}"##,
        #"{"type":"array","prefixItems":[{"type":"integer"},{"const":5}],"maxItems":2,"uniqueItems":false}"#,
        #"{"type":["string","null"],"minLength":2,"maxLength":5}"#,
        #"{"type":"array","items":{"type":"string","maxLength":2000},"maxItems":2001}"#,
        #"{"type":"string","pattern":"^[a-z]{0,2000}[{][0-9]{2}$"}"#,
    ])
    func `what the grammar enforces is no gap`(schema: String) throws {
        #expect(try Self.gaps(schema) == [])
    }

    @Test(arguments: [
        ##"{"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"$ref":"#/$defs/a"}}}"##,
        ##"{"allOf":[{"$ref":"#/$defs/a~0b"}],"$defs":{"a~0b":{"$ref":"#/$defs/a~0b"}}}"##,
        ##"{"allOf":[{"$ref":"#/allOf/0x"}]}"##,
        ##"{"allOf":[{"$ref":"#/$defs//a"}],"$defs":{"":{"a":{"$ref":"#/$defs//a"}}}}"##,
        ##"{"items":{"$ref":"#/$defs/b"},"$defs":{"b":{"$ref":"#/$defs/c"},"c":{"$ref":"#/$defs/b"}}}"##,
        ##"{"anyOf":[{"type":"null"},{"$ref":"#/anyOf/1"}]}"##,
    ])
    func `references that lead to nothing but references are refused by name`(schema: String) throws {
        let error = try #require(throws: DialectError.self) {
            try Field(node: try Self.node(schema), path: .member(.body, "s")).schema()
        }
        #expect(error.field == "s" && error.description.contains("$ref: #"), "\(error)")
    }

    /// Objects, each with so many properties that are not required.
    private static func optionals(_ counts: [Int], _ rest: String = "") -> String {
        let objects = counts.enumerated().map { index, count in
            let parts = (0..<count).map { #""p\#($0)":{"type":"null"}"# }
            return #""o\#(index)":{"type":"object","properties":{"# + parts.joined(separator: ",") + "}}"
        }
        return #"{"$defs":{"# + objects.joined(separator: ",") + "}\(rest)}"
    }

    /// What the library would take minutes for, or more stack than there is.
    @Test(arguments: [
        (optionals([256]), nil), (optionals([257]), "257 properties"),
        (optionals(Array(repeating: 128, count: 8)), nil),
        (optionals(Array(repeating: 128, count: 9)), "objects of many properties"),
        // Components bring their properties, by reference, too.
        (
            optionals([200, 100], ##","allOf":[{"$ref":"#/$defs/o0"},{"anyOf":[{"$ref":"#/$defs/o1"}]}]"##),
            "300 properties"
        ),
        (#"{"properties":{"\#(String(repeating: "n", count: 256))":{}}}"#, nil),
        (#"{"properties":{"\#(String(repeating: "n", count: 257))":{}}}"#, "name of 257 bytes"),
        (##"{"$ref":"#/\##(String(repeating: "n", count: 1100))"}"##, "$ref of 1102 bytes"),
    ])
    func `schemas that keep the library busy for long are refused`(schema: String, word: String?) throws {
        let field = Field(node: try Self.node(schema), path: .member(.body, "s"))
        guard let word else {
            #expect(try field.schema() == schema)
            return
        }
        let error = try #require(throws: DialectError.self) { try field.schema() }
        #expect(error.field == "s" && error.description.contains(word), "\(error)")
    }

    @Test func `properties that are required cost nothing`() throws {
        let names = (0..<4000).map { #""p\#($0)""# }
        let parts = names.map { $0 + #":{"type":"null"}"# }
        let schema =
            #"{"type":"object","properties":{"# + parts.joined(separator: ",") + #"},"required":["#
            + names.joined(separator: ",") + "]}"
        #expect(try Field(node: try Self.node(schema), path: .member(.body, "s")).schema() == schema)
    }

    @Test func `so many different references are taken and no more`() throws {
        func schema(_ count: Int) -> String {
            let parts = (0..<count).map { ##""a\##($0)":{"items":{"$ref":"#/$defs/a\##($0 + 1)"}}"## }
            return #"{"$defs":{"# + parts.joined(separator: ",") + "}}"
        }
        _ = try Field(node: try Self.node(schema(500)), path: .member(.body, "s")).schema()
        let error = try #require(throws: DialectError.self) {
            try Field(node: try Self.node(schema(501)), path: .member(.body, "s")).schema()
        }
        #expect(error.description.contains("501 different $ref") && error.description.contains("500"))
    }

    @Test(arguments: [
        ##"{"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":{"child":{"$ref":"#/$defs/n"}}}}}"##,
        ##"{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"items":{"$ref":"#/$defs/a"}}}}"##,
        ##"{"$ref":"#/nowhere"}"##, ##"{"$ref":"https://example.org/x"}"##,
        ##"{"properties":{"$ref":{"type":"string"}}}"##,
    ])
    func `references that lead somewhere, or nowhere, are not`(schema: String) throws {
        #expect(try Field(node: try Self.node(schema), path: .member(.body, "s")).schema() == schema)
    }

    @Test(arguments: [
        (#"{"type":"array","items":{},"uniqueItems":true}"#, ["s.uniqueItems"]),
        (#"{"type":"number","minimum":0}"#, ["s.minimum"]),
        (#"{"type":"integer","multipleOf":5}"#, ["s.multipleOf"]),
        (#"{"not":{"type":"string"}}"#, ["s.not"]),
        (#"{"type":"string","format":"email"}"#, ["s.format"]),
        (#"{"type":"string","pattern":"abc"}"#, ["s.pattern"]),
        (#"{"type":"string","pattern":"^\\d+$"}"#, ["s.pattern"]),
        (#"{"type":"string","pattern":"^(?=a)a$"}"#, ["s.pattern"]),
        (#"{"type":"string","pattern":"^[a]+$","maxLength":3}"#, ["s.maxLength"]),
        (#"{"type":"object","patternProperties":{"^x$":{}}}"#, ["s.patternProperties"]),
        (
            #"{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"if":{}}}}}}"#,
            ["s.properties.a.properties.b.if"]
        ),
        (#"{"anyOf":[{"type":"string"},{"type":"number","maximum":2}]}"#, ["s.anyOf[1].maximum"]),
        (#"{"anyOf":[{"type":"string"}],"minLength":2}"#, ["s.minLength"]),
        (##"{"$ref":"#/$defs/a","minLength":2,"$defs":{"a":{"type":"string"}}}"##, ["s.minLength"]),
        (#"{"allOf":[{"type":"object"},{"type":"object"}]}"#, ["s.allOf"]),
        (#"{"type":"string","minItems":2}"#, ["s.minItems"]),
        (#"{"type":"string","maxLength":2001}"#, ["s.maxLength"]),
        (#"{"type":"string","maxLength":1e30}"#, ["s.maxLength"]),
        (#"{"type":"array","items":{},"maxItems":2002}"#, ["s.maxItems"]),
        (#"{"type":"string","pattern":"^[a-z]{0,2001}$"}"#, ["s.pattern"]),
    ])
    func `what it would pass over is named by its place`(schema: String, gaps: [String]) throws {
        #expect(try Self.gaps(schema) == gaps)
    }

    @Test func `a strict schema with a gap is refused, another one warned about`() throws {
        let schema = #"{"type":"object","properties":{"tags":{"type":"array","items":{},"uniqueItems":true}}}"#
        /// Fields with a schema at a place, and with what is said about strictness.
        let cases: [(place: String, fields: (String) -> String)] = [
            (
                "tools[0].function.parameters",
                { #""tools":[{"type":"function","function":{"name":"f"\#($0),"parameters":\#(schema)}}]"# }
            ),
            (
                "response_format.json_schema.schema",
                {
                    #""response_format":{"type":"json_schema","json_schema":{"name":"n"\#($0),"schema":\#(schema)}}"#
                }
            ),
        ]
        for (place, fields) in cases {
            #expect(chatError(fields(#","strict":true"#))?.field == "\(place).properties.tags.uniqueItems")
            for strict in ["", #","strict":false"#] {
                let decoded = try decodeChat(fields(strict))
                #expect(decoded.warnings.contains { $0.contains("uniqueItems") && $0.contains("not enforced") })
            }
        }
    }

    @Test(arguments: [
        (#"{"type":"object","required":["a"]}"#, #"{"a":1}"#, #"{}"#),
        (#"{"properties":{"a":{"type":"integer","minimum":3}}}"#, #"{"a":3.0,"b":0}"#, #"{"a":2}"#),
        (#"{"properties":{"a":true},"additionalProperties":false}"#, #"{"a":{}}"#, #"{"b":1}"#),
        (#"{"additionalProperties":{"type":"string"}}"#, #"{"x":"y"}"#, #"{"x":1}"#),
        (#"{"enum":[1,"a",null]}"#, "1.0", #""b""#),
        (#"{"const":{"a":[1,2]}}"#, #"{"a":[1,2]}"#, #"{"a":[2,1]}"#),
        (#"{"items":{"type":"boolean"},"minItems":1,"maxItems":2}"#, "[true]", "[true,1]"),
        (#"{"prefixItems":[{"type":"string"}],"items":false}"#, #"["a"]"#, #"["a",1]"#),
        (#"{"uniqueItems":true}"#, "[1,2]", "[1,2,1.0]"),
        (#"{"minLength":2,"maxLength":3}"#, #""🪿é""#, #""🪿""#),
        (#"{"multipleOf":0.5}"#, "1.5", "1.4"),
        (#"{"exclusiveMinimum":0,"exclusiveMaximum":2}"#, "1", "2"),
        (#"{"oneOf":[{"type":"integer"},{"type":"number"}]}"#, "1.5", "1"),
        (#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#, "null", "0"),
        (#"{"allOf":[{"minimum":1},{"maximum":2}]}"#, "2", "3"),
        (#"{"not":{"type":"string"}}"#, "1", #""a""#),
        (#"{"minProperties":1,"maxProperties":1}"#, #"{"a":1}"#, "{}"),
        (
            ##"{"$defs":{"t":{"properties":{"next":{"$ref":"#/$defs/t"},"v":{"type":"string"}}}},"$ref":"#/$defs/t"}"##,
            #"{"next":{"next":{"v":"x"}}}"#, #"{"next":{"next":{"v":1}}}"#
        ),
    ])
    func `a value is held against its schema`(schema: String, good: String, bad: String) throws {
        #expect(SchemaCheck.violation(of: try Self.node(schema), by: try Self.node(good)) == nil)
        #expect(SchemaCheck.violation(of: try Self.node(schema), by: try Self.node(bad)) != nil)
    }

    @Test func `a schema that refers to itself is given up, not followed for ever`() throws {
        let schema = ##"{"$ref":"#"}"##
        #expect(SchemaCheck.violation(of: try Self.node(schema), by: try Self.node("1")) == nil)
        let wide = ##"{"anyOf":[{"$ref":"#"},{"$ref":"#"}]}"##
        #expect(SchemaCheck.violation(of: try Self.node(wide), by: try Self.node("1")) == nil)
    }

    // MARK: Whole answers

    private static func request(_ change: (inout GenerationRequest) -> Void) -> GenerationRequest {
        var request = GenerationRequest(id: RequestID(1), model: "m", prompt: .chat([]))
        change(&request)
        return request
    }

    private static func findings(
        _ request: GenerationRequest, text: String = "", calls: [(String, String)] = [], finish: FinishReason = .stop
    ) throws -> [String] {
        var review = try #require(AnswerReview(request))
        for piece in text { review.absorb(.output(OutputDelta(choice: 0, text: String(piece)))) }
        for (index, call) in calls.enumerated() {
            let first = ToolCallDelta(index: index, id: "c", name: call.0, arguments: "")
            review.absorb(.output(OutputDelta(choice: 0, toolCalls: [first])))
            let rest = ToolCallDelta(index: index, arguments: call.1)
            review.absorb(.output(OutputDelta(choice: 0, toolCalls: [rest])))
        }
        review.absorb(
            .finished(
                Completion(
                    finishReasons: [finish], stopTexts: [nil], usage: Usage(promptTokens: 1, outputTokens: 1),
                    timings: Timings(queueSeconds: 0, prefillSeconds: 0, decodeSeconds: 0))))
        return review.findings
    }

    @Test func `an answer is reviewed at its end, unless it was cut off by its length`() throws {
        let request = Self.request { $0.responseFormat = .jsonSchema(#"{"type":"object","required":["a"]}"#) }
        #expect(try Self.findings(request, text: #"{"a":1}"#) == [])
        #expect(try Self.findings(request, text: "{}") == ["The answer breaks its schema: the value lacks 'a'."])
        #expect(try Self.findings(request, text: #"{"a":"#) == ["The answer is no JSON."])
        #expect(try Self.findings(request, text: #"{"a":"#, finish: .length) == [])
        let object = Self.request { $0.responseFormat = .jsonObject }
        #expect(try Self.findings(object, text: "[1]") == ["The answer is an array, not a JSON object."])
    }

    @Test func `calls of strict tools are reviewed, those of others are not`() throws {
        let schema = #"{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}"#
        let request = Self.request {
            $0.tools = [
                Tool(name: "f", summary: "", parameters: schema, strict: true),
                Tool(name: "g", summary: "", parameters: schema),
            ]
        }
        #expect(try Self.findings(request, calls: [("f", #"{"n":1}"#), ("g", "{}")]) == [])
        let found = try Self.findings(request, calls: [("g", "{"), ("f", #"{"n":"1"}"#), ("f", "{")])
        #expect(
            found == [
                "The answer's call of 'f' breaks its schema: 'n' is a string, not of type integer.",
                "The answer's call of 'f' has arguments that are no JSON.",
            ])
        #expect(AnswerReview(Self.request { $0.tools = [Tool(name: "g", summary: "", parameters: schema)] }) == nil)
    }
}
