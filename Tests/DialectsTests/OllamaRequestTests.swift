import Dialects
import Testing
import Vocabulary

private func decode(_ route: Ollama.Route, _ fields: String) throws(DialectError) -> Ollama.AnswerRequest {
    try Ollama.AnswerRequest.decode(bytes(#"{"model":"m"\#(fields)}"#), route: route, id: RequestID(1))
}

private func failure(_ route: Ollama.Route, _ fields: String) -> DialectError? {
    do {
        _ = try decode(route, fields)
        return nil
    } catch {
        return error
    }
}

@Suite struct `Ollama requests` {
    @Test func `a prompt becomes one user message, streamed, with Ollama's defaults`() throws {
        let asked = try decode(.generate, #","prompt":"hi""#)
        let request = asked.decoded.request
        #expect(asked.intent == .answer && asked.decoded.stream && asked.model == "m")
        #expect(messages(request) == [Message(role: .user, text: "hi")])
        #expect(request.sampling.temperature == 0.8 && request.sampling.topK == 40 && request.sampling.topP == 0.9)
        #expect(request.maxOutputTokens == nil && request.reasoning == .init())
        #expect(asked.decoded.warnings.isEmpty)
    }

    @Test func `system, raw and the forms of an answer`() throws {
        let system = try decode(.generate, #","prompt":"hi","system":"S","stream":false"#)
        #expect(messages(system.decoded.request).map(\.text) == ["S", "hi"])
        #expect(!system.decoded.stream)
        let raw = try decode(.generate, #","prompt":"<s>hi","raw":true,"suffix":"","template":"","context":[]"#)
        guard case .text("<s>hi") = raw.decoded.request.prompt else {
            Issue.record("the prompt is \(raw.decoded.request.prompt)")
            return
        }
        let forms: [(String, ResponseFormat)] = [
            ("\"\"", .text), (#""json""#, .jsonObject), ("null", .text),
            (#"{"type": "object"}"#, .jsonSchema(#"{"type":"object"}"#)),
        ]
        for (json, form) in forms {
            #expect(try decode(.chat, #","messages":[],"format":\#(json)"#).decoded.request.responseFormat == form)
        }
    }

    @Test func `options reach the sampler or say that they are fixed`() throws {
        let asked = try decode(
            .generate,
            #","prompt":"x","options":{"temperature":0,"top_k":5,"top_p":0.5,"min_p":0.1,"typical_p":0.7,"seed":42,"#
                + #""num_predict":7,"repeat_last_n":33,"repeat_penalty":1.2,"presence_penalty":0.5,"tfs_z":1,"#
                + #""frequency_penalty":0.25,"mirostat":0,"mirostat_tau":0.8,"mirostat_eta":0.6,"stop":["\n","x"],"#
                + #""penalize_newline":true,"num_ctx":4096,"use_mmap":true,"dry_multiplier":0.5}"#)
        let request = asked.decoded.request
        let sampling = request.sampling
        #expect(sampling.isGreedy && sampling.topK == 5 && sampling.topP == 0.5 && sampling.minP == 0.1)
        #expect(sampling.typicalP == 0.7 && sampling.seed == 42 && sampling.penaltyWindow == 33)
        #expect(sampling.repeatPenalty == 1.2 && sampling.presencePenalty == 0.5 && sampling.dryMultiplier == 0.5)
        #expect(request.maxOutputTokens == 7 && request.stop == ["\n", "x"])
        #expect(
            asked.decoded.warnings == [
                "'options.num_ctx' has no effect: it is fixed when the model is deployed.",
                "'options.use_mmap' has no effect: it is fixed when the model is deployed.",
            ])
        for unbounded in [0, -1, -2] {
            #expect(
                try decode(.chat, #","options":{"num_predict":\#(unbounded)}"#).decoded.request.maxOutputTokens == nil)
        }
        #expect(try decode(.chat, #","options":{"seed":-1}"#).decoded.request.sampling.seed == nil)
        #expect(try decode(.chat, #","options":{"stop":"x"}"#).decoded.request.stop == ["x"])
    }

    @Test func `who asks for a shifted or truncated context is told that there is none`() throws {
        for route in [Ollama.Route.generate, .chat] {
            #expect(try decode(route, #","shift":false,"truncate":false"#).decoded.warnings.isEmpty)
            #expect(
                try decode(route, #","shift":true,"truncate":true"#).decoded.warnings == [
                    "'shift' has no effect: an answer ends at the end of the window.",
                    "'truncate' has no effect: a prompt is never truncated; one that is too long is refused.",
                ])
        }
    }

    @Test(arguments: [
        (Ollama.Route.generate, #","prompt":7"#, "prompt"), (.generate, #","suffix":"x""#, "suffix"),
        (.generate, #","template":"{{.}}""#, "template"), (.generate, #","context":[1]"#, "context"),
        (.generate, #","images":["aGk="]"#, "images[0]"), (.generate, #","images":"x""#, "images"),
        (.generate, #","prompt":"x","raw":true,"system":"S""#, "system"), (.generate, #","width":5"#, "width"),
        (.chat, #","messages":"x""#, "messages"), (.chat, #","messages":[{"content":"x"}]"#, "messages[0].role"),
        (.chat, #","messages":[{"role":"king"}]"#, "messages[0].role"),
        (.chat, #","messages":[{"role":"user","content":["x"]}]"#, "messages[0].content"),
        (.chat, #","messages":[{"role":"user","images":["x"]}]"#, "messages[0].images[0]"),
        (.chat, #","messages":[{"role":"assistant","tool_calls":[{}]}]"#, "messages[0].tool_calls[0].function.name"),
        (
            .chat, #","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":[]}}]}]"#,
            "messages[0].tool_calls[0].function.arguments"
        ),
        (.chat, #","tools":[{"type":"function"}]"#, "tools[0].function"), (.chat, #","format":"xml""#, "format"),
        (.chat, #","format":7"#, "format"), (.chat, #","think":"very""#, "think"), (.chat, #","think":1"#, "think"),
        (.chat, #","keep_alive":"soon""#, "keep_alive"),
        (.chat, #","keep_alive":"5x""#, "keep_alive"), (.chat, #","keep_alive":true"#, "keep_alive"),
        (.chat, #","keep_alive":"""#, "keep_alive"), (.chat, #","stream":"no""#, "stream"),
        (.chat, #","top_logprobs":21"#, "top_logprobs"), (.chat, #","top_logprobs":2"#, "top_logprobs"),
        (.chat, #","options":[]"#, "options"), (.chat, #","options":{"num_predict":-3}"#, "options.num_predict"),
        (.chat, #","options":{"temperature":"hot"}"#, "options.temperature"),
        (.chat, #","options":{"tfs_z":0.5}"#, "options.tfs_z"),
        (.chat, #","options":{"penalize_newline":false}"#, "options.penalize_newline"),
        (.chat, #","options":{"vocab_only":true}"#, "options.vocab_only"),
        (.chat, #","options":{"rope_frequency_base":1e6}"#, "options.rope_frequency_base"),
        (.chat, #","options":{"num_ctx":"big"}"#, "options.num_ctx"),
        (.chat, #","options":{"stop":[1]}"#, "options.stop[0]"),
        (.chat, #","options":{"stop_token_ids":[1]}"#, "options.stop_token_ids"),
    ])
    func `a bad value is refused by its place`(route: Ollama.Route, fields: String, place: String) {
        #expect(failure(route, fields)?.field == place, "\(fields)")
    }

    @Test func `a model must be named, and the tag latest may be`() throws {
        #expect(throws: DialectError.missingField("model")) {
            try Ollama.AnswerRequest.decode(bytes("{}"), route: .chat, id: RequestID(1))
        }
        let asked = try Ollama.AnswerRequest.decode(
            bytes(#"{"model":"skein-tiny:latest","prompt":"x"}"#), route: .generate, id: RequestID(1))
        #expect(asked.model == "skein-tiny:latest" && asked.decoded.request.model == "skein-tiny:latest")
        #expect(Ollama.lookupName("org/model@rev:q8_0") == "org/model@rev:q8_0")
    }

    @Test func `no prompt loads, no prompt with keep_alive 0 unloads`() throws {
        #expect(try decode(.generate, "").intent == .load)
        #expect(try decode(.generate, #","prompt":"""#).intent == .load)
        #expect(try decode(.chat, #","messages":[]"#).intent == .load)
        #expect(try decode(.chat, #","keep_alive":"5m""#).intent == .load)
        for zero in ["0", "0.0", #""0""#, #""0s""#, #""-0m0s""#] {
            #expect(try decode(.chat, #","keep_alive":\#(zero)"#).intent == .unload, "\(zero)")
        }
        for stay in ["-1", "300", #""-1""#, #""1h30m""#, #""1.5h""#, #""10µs""#] {
            let asked = try decode(.generate, #","prompt":"x","keep_alive":\#(stay)"#)
            #expect(asked.intent == .answer && asked.decoded.warnings.isEmpty, "\(stay)")
        }
    }

    @Test func `keep_alive says how long the model stays loaded`() throws {
        #expect(try decode(.chat, "").decoded.request.residency == nil)
        let cases: [(String, KeepAlive)] = [
            ("0", .unload), (#""-0m0s""#, .unload), ("-1", .forever), (#""-5m""#, .forever), ("1e300", .forever),
            ("300", .milliseconds(300_000)), (#""1h30m""#, .milliseconds(5_400_000)), ("0.5", .milliseconds(500)),
            (#""1.5h""#, .milliseconds(5_400_000)), (#""10µs""#, .milliseconds(1)), (#""90""#, .milliseconds(90_000)),
        ]
        for (text, expected) in cases {
            let asked = try decode(.generate, #","prompt":"x","keep_alive":\#(text)"#)
            // Whether the sender may is not for the body to say.
            #expect(asked.decoded.request.residency == Residency(mayDeploy: false, keepAlive: expected), "\(text)")
        }
    }

    @Test func `think is on, off or a degree`() throws {
        #expect(try decode(.chat, #","think":true"#).decoded.request.reasoning.enabled == true)
        #expect(try decode(.chat, #","think":false"#).decoded.request.reasoning.enabled == false)
        let high = try decode(.chat, #","think":"high""#).decoded.request
        #expect(high.reasoning.enabled == true)
        #expect(high.templateArguments == [TemplateArgument(name: "reasoning_effort", value: #""high""#)])
        let logprobs = try decode(.chat, #","logprobs":true,"top_logprobs":3"#).decoded.request
        #expect(logprobs.topLogprobs == 3)
        #expect(try decode(.chat, #","logprobs":false,"top_logprobs":0"#).decoded.request.topLogprobs == nil)
    }

    @Test func `results of tools find their calls by id, by name or by order`() throws {
        let asked = try decode(
            .chat,
            #","messages":[{"role":"user","content":"x"},{"role":"assistant","content":"","thinking":"t","tool_calls":"#
                + #"[{"function":{"name":"f","arguments":{"a": 1}}},"#
                + #"{"id":"c2","function":{"name":"g","arguments":"{}","#
                + #""index":1}},{"function":{"name":"h"}}]},{"role":"tool","content":"G","tool_name":"g"},{"role":"#
                + #""tool","content":"F"},{"role":"tool","content":"H","tool_call_id":"call_1_2"}],"tools":[{"type":"#
                + #""function","function":{"name":"f","description":"F.","parameters":{"type":"object"}}}]"#)
        let conversation = messages(asked.decoded.request)
        #expect(conversation[1].reasoning == "t")
        #expect(conversation[1].toolCalls.map(\.id) == ["call_1_0", "c2", "call_1_2"])
        #expect(conversation[1].toolCalls.map(\.arguments) == [#"{"a":1}"#, "{}", "{}"])
        #expect(conversation[2...].map(\.toolCallID) == ["c2", "call_1_0", "call_1_2"])
        #expect(conversation[2...].map(\.toolName) == ["g", "f", "h"])
        #expect(asked.decoded.request.tools.map(\.name) == ["f"])
    }

    @Test func `requests about models`() throws {
        for route in Ollama.ModelRequest.Route.allCases {
            let asked = try Ollama.ModelRequest.decode(bytes(#"{"name":"m","stream":null}"#), route: route)
            #expect(asked.model == "m" && asked.stream)
            #expect(throws: DialectError.missingField("model")) {
                try Ollama.ModelRequest.decode(bytes("{}"), route: route)
            }
            #expect(throws: DialectError.self) {
                try Ollama.ModelRequest.decode(bytes(#"{"name":"m","model":"n"}"#), route: route)
            }
            #expect(throws: DialectError.self) {
                try Ollama.ModelRequest.decode(bytes(#"{"model":""}"#), route: route)
            }
        }
        let pull = try Ollama.ModelRequest.decode(bytes(#"{"model":"m","stream":false}"#), route: .pull)
        #expect(!pull.stream)
        for feature in Ollama.MissingFeature.allCases {
            #expect(feature.report.status == 501 && feature.report.message.contains("; "))
        }
    }
}
