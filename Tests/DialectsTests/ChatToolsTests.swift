import Dialects
import Testing
import Vocabulary

@Suite struct `Chat tools and formats` {
    private let twoTools =
        #""tools":[{"type":"function","function":{"name":"f","description":"does f","parameters":{"type" : "object"},"#
        + #""strict":true}},{"type":"function","function":{"name":"g"}}]"#

    @Test func `tools keep name, description, compact schema and strictness`() throws {
        let request = try decodeChat(twoTools).request
        #expect(
            request.tools == [
                Tool(name: "f", summary: "does f", parameters: #"{"type":"object"}"#, strict: true),
                Tool(name: "g", summary: "", parameters: #"{"type":"object","properties":{}}"#),
            ])
        #expect(request.toolChoice == .auto)
        #expect(request.parallelToolCalls)
    }

    @Test func `every form of tool_choice`() throws {
        func choice(_ json: String) throws -> GenerationRequest {
            try decodeChat(twoTools + #","tool_choice":\#(json)"#).request
        }
        #expect(try choice(#""auto""#).toolChoice == .auto)
        #expect(try choice(#""none""#).toolChoice == .none)
        #expect(try choice(#""required""#).toolChoice == .required)
        #expect(try choice(#"{"type":"function","function":{"name":"g"}}"#).toolChoice == .named("g"))
        let allowed = try choice(
            #"""
            {"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[
            {"type":"function","function":{"name":"g"}}]}}
            """#)
        #expect(allowed.toolChoice == .required)
        #expect(allowed.tools.map(\.name) == ["g"])
        #expect(try decodeChat(#""tool_choice":"none","parallel_tool_calls":false"#).request.parallelToolCalls == false)
    }

    @Test(arguments: [
        (#""tool_choice":"required""#, "tool_choice"), (#""tool_choice":"any""#, "tool_choice"),
        (#""tool_choice":{"type":"function","function":{"name":"nope"}}"#, "tool_choice"),
        (#""tool_choice":{"type":"custom","custom":{"name":"x"}}"#, "tool_choice.type"),
        (#""tool_choice":{"type":"function"}"#, "tool_choice.function"), (#""tool_choice":7"#, "tool_choice"),
        (#""tools":{}"#, "tools"), (#""tools":[{}]"#, "tools[0].type"), (#""tools":[7]"#, "tools[0]"),
        (#""tools":[{"type":"web_search"}]"#, "tools[0].type"),
        (#""tools":[{"type":"function"}]"#, "tools[0].function"),
        (#""tools":[{"type":"function","function":{}}]"#, "tools[0].function.name"),
        (#""tools":[{"type":"function","function":{"name":"a b"}}]"#, "tools[0].function.name"),
        (#""tools":[{"type":"function","function":{"name":""}}]"#, "tools[0].function.name"),
        (#""tools":[{"type":"function","function":{"name":"é"}}]"#, "tools[0].function.name"),
        (#""tools":[{"type":"function","function":{"name":"f","parameters":[]}}]"#, "tools[0].function.parameters"),
        (#""tools":[{"type":"function","function":{"name":"f","strict":1}}]"#, "tools[0].function.strict"),
        (
            #""tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"f"}}]"#,
            "tools[1].function.name"
        ),
        (#""functions":[]"#, "functions"), (#""function_call":"auto""#, "function_call"),
        (#""parse_tool_calls":false"#, "parse_tool_calls"),
    ])
    func `bad tools are refused by place`(fields: String, field: String) {
        #expect(chatError(fields)?.field == field)
    }

    @Test func `tools, names and schemas are bounded`() {
        let many = (0...512).map { #"{"type":"function","function":{"name":"t\#($0)"}}"# }.joined(separator: ",")
        #expect(chatError(#""tools":[\#(many)]"#) == .tooMany(field: "tools", count: 513, limit: 512))
        let long = String(repeating: "n", count: 65)
        #expect(
            chatError(#""tools":[{"type":"function","function":{"name":"\#(long)"}}]"#)
                == .tooLong(field: "tools[0].function.name", bytes: 65, limit: 64))
        let schema = #"{"x":"\#(String(repeating: "y", count: 256 << 10))"}"#
        #expect(
            chatError(#""tools":[{"type":"function","function":{"name":"f","parameters":\#(schema)}}]"#)
                == .tooLong(field: "tools[0].function.parameters", bytes: 262_152, limit: 262_144))
    }

    @Test func `response formats`() throws {
        func format(_ json: String) throws -> ResponseFormat {
            try decodeChat(#""response_format":\#(json)"#).request.responseFormat
        }
        #expect(try format(#"{"type":"text"}"#) == .text)
        #expect(try format(#"{"type":"json_object"}"#) == .jsonObject)
        #expect(
            try format(#"{"type":"json_object","schema":{"type":"object"}}"#) == .jsonSchema(#"{"type":"object"}"#))
        let schema = #"{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"b":1.50,"a":[ ]}}}"#
        #expect(try format(schema) == .jsonSchema(#"{"b":1.50,"a":[]}"#))
        #expect(try format(#"{"type":"json_schema","json_schema":{"name":"n"}}"#) == .jsonObject)
        let short = try decodeChat(#""json_schema":{"type":"array"}"#).request
        #expect(short.responseFormat == .jsonSchema(#"{"type":"array"}"#))
        #expect(try decodeChat(#""grammar":"root ::= \"x\"""#).request.responseFormat == .grammar(#"root ::= "x""#))
        #expect(try decodeChat(#""grammar":"""#).request.responseFormat == .text)
    }

    @Test(arguments: [
        (#""response_format":"json""#, "response_format"), (#""response_format":{}"#, "response_format.type"),
        (#""response_format":{"type":"xml"}"#, "response_format.type"),
        (#""response_format":{"type":"json_schema"}"#, "response_format.json_schema"),
        (
            #""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":"x"}}"#,
            "response_format.json_schema.schema"
        ),
        (
            #""response_format":{"type":"json_schema","json_schema":{"name":"a b","schema":{}}}"#,
            "response_format.json_schema.name"
        ),
        (#""response_format":{"type":"json_object"},"grammar":"root ::= x""#, "grammar"),
        (#""grammar":"root ::= x","tools":[{"type":"function","function":{"name":"f"}}]"#, "grammar"),
        (#""grammar":["x"]"#, "grammar"), (#""guided_json":{}"#, "guided_json"),
    ])
    func `bad formats are refused by place`(fields: String, field: String) {
        #expect(chatError(fields)?.field == field)
    }

    @Test func `a schema without name or strictness is used with a warning`() throws {
        let decoded = try decodeChat(
            #""response_format":{"type":"json_schema","json_schema":{"strict":false,"schema":{}}}"#)
        #expect(
            decoded.warnings == [
                "'response_format.json_schema.strict' has no effect: the schema is always enforced.",
                "'response_format.json_schema.name' is missing; OpenAI demands it.",
            ])
    }
}
