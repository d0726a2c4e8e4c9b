import Dialects
import Testing
import Vocabulary

/// Request bodies in the shape well-known clients send them.
@Suite struct `Client bodies` {
    @Test func `openai Python SDK, parse with tools`() throws {
        let decoded = try decodeChat(
            bytes(
                #"""
                {"messages":[{"role":"system","content":"You are helpful."},{"role":"user","content":"Weather?"}],
                "model":"skein","frequency_penalty":0,"max_completion_tokens":256,"metadata":{"run":"1"},"n":1,
                "parallel_tool_calls":true,"presence_penalty":0,"reasoning_effort":"low","response_format":
                {"type":"json_schema","json_schema":{"schema":{"properties":{"city":{"title":"City","type":"string"}},
                "required":["city"],"title":"Answer","type":"object","additionalProperties":false},"name":"Answer",
                "strict":true}},"seed":1,"stop":null,"store":false,"stream":true,
                "stream_options":{"include_usage":true},"temperature":0.2,"tool_choice":"auto","tools":[{"type":
                "function","function":{"name":"get_weather","strict":true,"parameters":{"type":"object","properties":
                {"city":{"type":"string"}},"required":["city"],"additionalProperties":false},"description":"Weather"}}],
                "top_p":1,"user":"u-1"}
                """#))
        #expect(decoded.stream && decoded.includeUsage)
        #expect(decoded.request.maxOutputTokens == 256)
        #expect(decoded.request.reasoning.enabled == true)
        #expect(decoded.request.sampling.temperature == 0.2)
        #expect(decoded.request.sampling.seed == 1)
        #expect(decoded.request.tools.first?.strict == true)
        guard case .jsonSchema(let schema) = decoded.request.responseFormat else {
            Issue.record("no schema")
            return
        }
        #expect(schema.hasPrefix(#"{"properties":{"city""#))
        #expect(
            decoded.warnings == [
                "'metadata' has no effect: requests are not stored.",
                "'store' has no effect: answers are not stored.",
                "'user' has no effect: it identifies the end user to OpenAI only.",
            ])
    }

    @Test func `LangChain agent loop`() throws {
        let decoded = try decodeChat(
            bytes(
                #"""
                {"messages":[{"content":"You are an agent.","role":"system"},{"content":"2+2?","role":"user"},
                {"content":null,"role":"assistant","tool_calls":[{"type":"function","id":"call_abc","function":
                {"name":"add","arguments":"{\"a\": 2, \"b\": 2}"}}]},{"content":"4","role":"tool",
                "tool_call_id":"call_abc"}],"model":"skein","max_completion_tokens":1024,"stream":false,
                "temperature":0.0,"n":1,"tools":[{"type":"function","function":{"name":"add","description":"Adds.",
                "parameters":{"properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"],
                "type":"object"}}}]}
                """#))
        let answer = Message(role: .tool, text: "4", toolCallID: "call_abc", toolName: "add")
        #expect(messages(decoded.request).last == answer)
        #expect(decoded.request.sampling.isGreedy)
        #expect(decoded.warnings.isEmpty)
    }

    @Test func `Open WebUI`() throws {
        let decoded = try decodeChat(
            bytes(
                #"""
                {"stream":true,"model":"skein","messages":[{"role":"user","content":"Hi"}],"stream_options":
                {"include_usage":true},"temperature":0.7,"top_p":0.9,"max_tokens":512,"seed":0,"stop":["###"],
                "frequency_penalty":0.1,"chat_id":"3a","session_id":"s","background_tasks":{"title_generation":true}}
                """#))
        #expect(decoded.request.stop == ["###"])
        #expect(decoded.request.sampling.seed == 0)
        #expect(decoded.warnings.count == 3)
    }

    @Test func `Continue, editing and chatting`() throws {
        let decoded = try decodeChat(
            bytes(
                #"""
                {"messages":[{"role":"system","content":"Rules"},{"role":"user","content":[{"type":"text","text":"a"},
                {"type":"text","text":"b"}]},{"role":"assistant","content":" "},{"role":"user","content":"go"}],
                "model":"skein","max_tokens":4096,"temperature":0.01,"stream":true,"stream_options":
                {"include_usage":true},"stop":["\n\n","<|fim|>"],"tools":[],"parallel_tool_calls":false}
                """#))
        #expect(messages(decoded.request)[1].text == "a\nb")
        #expect(!decoded.request.parallelToolCalls)
        #expect(decoded.warnings.isEmpty)
    }

    @Test func `the web interface of llama-server with every setting`() throws {
        let decoded = try decodeChat(
            bytes(
                #"""
                {"messages":[{"role":"system","content":"S"},{"role":"user","content":"Q"},{"role":"assistant",
                "content":"A","reasoning_content":"R"},{"role":"user","content":"Q2"}],"return_progress":true,
                "sse_ping_interval":1,"stream":true,"model":"skein","reasoning_format":"auto",
                "chat_template_kwargs":{"enable_thinking":true},"thinking_budget_tokens":1024,"reasoning_control":true,
                "temperature":0.8,"max_tokens":-1,"dynatemp_range":0,"dynatemp_exponent":1,"top_k":40,"top_p":0.95,
                "min_p":0.05,"xtc_probability":0,"xtc_threshold":0.1,"typ_p":1,"repeat_last_n":64,"repeat_penalty":1,
                "presence_penalty":0,"frequency_penalty":0,"dry_multiplier":0,"dry_base":1.75,"dry_allowed_length":2,
                "dry_penalty_last_n":-1,"samplers":["penalties","dry","top_n_sigma","top_k","typ_p","top_p","min_p",
                "xtc","temperature"],"backend_sampling":false,"timings_per_token":true}
                """#))
        #expect(decoded.request.maxOutputTokens == nil)
        #expect(decoded.request.reasoning == .init(enabled: true, budget: 1024))
        #expect(messages(decoded.request)[2].reasoning == "R")
        #expect(decoded.request.sampling.topK == 40)
        #expect(decoded.warnings.count == 5)
    }

    @Test func `vLLM users with extra_body`() throws {
        let decoded = try decodeChat(
            #""top_k":-1,"repetition_penalty":1.05,"min_p":0,"skip_special_tokens":true,"#
                + #""chat_template_kwargs":{"enable_thinking":false}"#)
        #expect(decoded.request.sampling.topK == 0)
        #expect(decoded.request.sampling.repeatPenalty == 1.05)
        #expect(decoded.request.reasoning.enabled == false)
        #expect(decoded.warnings == ["'skip_special_tokens' is not a known parameter and has no effect."])
    }
}
