import Dialects
import Testing
import Vocabulary

/// Request bodies in the shape clients of Anthropic and Ollama send them.
@Suite struct `Client bodies of other dialects` {
    @Test func `Claude Code, an agent's turn`() throws {
        let message = try Anthropic.MessageRequest.decode(
            bytes(
                #"""
                {"model":"skein-tiny","max_tokens":32000,"stream":true,"temperature":1,"metadata":{"user_id":"u_1"},
                "system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=2.1; cch=abc;"},
                {"type":"text","text":"You are an agent.","cache_control":{"type":"ephemeral"}}],
                "thinking":{"type":"enabled","budget_tokens":31999},
                "context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]},
                "tools":[{"name":"mcp__a_server_with_a_long_name__and_a_tool_with_an_even_longer_name_here",
                "description":"Reads.","input_schema":{"$schema":"https://json-schema.org/draft/2020-12/schema",
                "type":"object","properties":{"path":{"type":"string"}},"required":["path"],
                "additionalProperties":false}}],
                "messages":[{"role":"user","content":[{"type":"text","text":"<system-reminder>r</system-reminder>"},
                {"type":"text","text":"Read it.","cache_control":{"type":"ephemeral"}}]},
                {"role":"assistant","content":[{"type":"thinking","thinking":"I read.","signature":"skein"},
                {"type":"tool_use","id":"call_1","name":"read","input":{"path":"a.txt"}}]},
                {"role":"user","content":[{"tool_use_id":"call_1","type":"tool_result","content":"hello",
                "is_error":false,"cache_control":{"type":"ephemeral"}}]}]}
                """#), id: RequestID(1))
        let request = message.decoded.request
        #expect(messages(request).map(\.role) == [.system, .user, .assistant, .tool])
        #expect(messages(request)[0].text == "You are an agent.")
        #expect(messages(request)[2].reasoning == "I read.")
        #expect(request.reasoning.enabled == true && request.maxOutputTokens == 32000)
        #expect(message.decoded.warnings.count == 2)
    }

    @Test func `LangChain's ChatAnthropic with a forced tool`() throws {
        let message = try Anthropic.MessageRequest.decode(
            bytes(
                #"""
                {"model":"m","max_tokens":1024,"temperature":0.0,"messages":[{"role":"user","content":"2+2?"}],
                "stop_sequences":null,"top_k":null,"top_p":null,"tools":[{"name":"Answer","input_schema":{"properties":
                {"n":{"type":"integer"}},"required":["n"],"type":"object"},"description":"An answer."}],
                "tool_choice":{"type":"tool","name":"Answer","disable_parallel_tool_use":true}}
                """#), id: RequestID(1))
        #expect(message.decoded.request.toolChoice == .named("Answer"))
        #expect(!message.decoded.request.parallelToolCalls && message.decoded.request.sampling.isGreedy)
        #expect(message.decoded.warnings.isEmpty)
    }

    @Test func `Open WebUI and Home Assistant over Ollama`() throws {
        let chat = try Ollama.AnswerRequest.decode(
            bytes(
                #"""
                {"model":"skein-tiny:latest","messages":[{"role":"system","content":"You control a home."},
                {"role":"user","content":"Light on","images":null},{"role":"assistant","content":"","tool_calls":
                [{"function":{"name":"HassTurnOn","arguments":{"name":"light"}}}]},{"role":"tool","content":"{}",
                "tool_name":"HassTurnOn"}],"tools":[{"type":"function","function":{"name":"HassTurnOn","description":
                "Turns on","parameters":{"type":"object","properties":{"name":{"type":"string"}}}}}],"stream":true,
                "options":{"num_ctx":8192},"keep_alive":"-1s","think":false,"format":null}
                """#), route: .chat, id: RequestID(1))
        #expect(chat.intent == .answer && chat.decoded.request.model == "skein-tiny:latest")
        #expect(messages(chat.decoded.request)[3].toolCallID == messages(chat.decoded.request)[2].toolCalls[0].id)
        #expect(chat.decoded.warnings.count == 1)
    }

    @Test func `Continue's autocompletion over Ollama`() throws {
        let generate = try Ollama.AnswerRequest.decode(
            bytes(
                #"""
                {"model":"m","prompt":"<|fim_prefix|>def f(<|fim_suffix|>)<|fim_middle|>","raw":true,"suffix":"",
                "options":{"temperature":0.01,"num_predict":256,"stop":["<|endoftext|>","\n\n"],"num_ctx":4096},
                "keep_alive":1800,"stream":true}
                """#), route: .generate, id: RequestID(1))
        #expect(generate.decoded.request.stop.count == 2 && generate.decoded.request.maxOutputTokens == 256)
    }

    /// Go's encoder writes every text that is not `omitempty`, so what its clients do not set comes as an empty text.
    @Test func `Ollama's own command line and its library for Go, about models`() throws {
        for names in [#""model":"m","name":"""#, #""model":"","name":"m""#] {
            let show = try Ollama.ModelRequest.decode(
                bytes(#"{\#(names),"system":"","template":"","verbose":false,"options":null}"#), route: .show)
            let shown = try Ollama.ModelRequest.decode(
                bytes(#"{\#(names),"system":"","template":"","verbose":false,"options":{}}"#), route: .show)
            let pull = try Ollama.ModelRequest.decode(
                bytes(#"{\#(names),"username":"","password":"","stream":true}"#), route: .pull)
            let delete = try Ollama.ModelRequest.decode(bytes("{\(names)}"), route: .delete)
            for asked in [show, shown, pull, delete] { #expect(asked.model == "m" && asked.warnings.isEmpty) }
            let create = try Ollama.CreateRequest.decode(
                bytes(#"{\#(names),"from":"b","files":{},"system":"","template":"","stream":true}"#))
            #expect(create.name == "m" && create.source == .model("b") && create.warnings.isEmpty)
            #expect(create.system == nil && create.template == nil)
            // As they were sent before models were made of fields.
            let older = try Ollama.CreateRequest.decode(
                bytes(#"{\#(names),"path":"","modelfile":"FROM b\nSYSTEM Be brief.","quantize":""}"#))
            #expect(older.source == .model("b") && older.system == "Be brief.")
        }
    }

    @Test func `a model that is named by empty texts only is not named`() {
        let body = bytes(#"{"model":"","name":"","from":"b"}"#)
        for route in Ollama.ModelRequest.Route.allCases {
            #expect(throws: DialectError.missingField("model")) {
                try Ollama.ModelRequest.decode(body, route: route)
            }
        }
        #expect(throws: DialectError.missingField("model")) { try Ollama.CreateRequest.decode(body) }
        #expect(throws: DialectError.missingField("from or files")) {
            try Ollama.CreateRequest.decode(bytes(#"{"model":"m","from":""}"#))
        }
    }

    @Test(arguments: [
        ("system", Ollama.ModelRequest.Route.show), ("template", .show), ("username", .pull), ("password", .pull),
    ])
    func `a text that says something is refused by its name`(field: String, route: Ollama.ModelRequest.Route) {
        #expect {
            try Ollama.ModelRequest.decode(bytes(#"{"model":"m","\#(field)":"x"}"#), route: route)
        } throws: { ($0 as? DialectError)?.field == field }
    }
}
