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
}
