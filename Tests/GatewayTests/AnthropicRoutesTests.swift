import Foundation
import Gateway
import Testing
import Vocabulary

@Suite(.timeLimit(.minutes(1))) struct `Anthropic routes` {
    private static let start = #"{"model":"tiny","max_tokens":64,"messages":[{"role":"user","content":"hi"}]"#

    /// A stop met, with calls the model made.
    private static let calls: [GenerationEvent] = [
        .started(promptTokens: 9, cachedTokens: 2),
        .output(
            OutputDelta(
                text: "I look.", toolCalls: [ToolCallDelta(index: 0, id: "c1", name: "f", arguments: #"{"a":1}"#)])),
        .finished(
            Completion(
                finishReasons: [.toolCalls], stopTexts: [nil],
                usage: Usage(promptTokens: 9, cachedTokens: 2, outputTokens: 3),
                timings: Timings(queueSeconds: 0, prefillSeconds: 0, decodeSeconds: 0))),
    ]

    @Test func `a message is answered in one body under its identity`() async throws {
        let node = ScriptedNode { _ in Self.calls }
        try await LoopbackServer.with(node) { server in
            let answer = try await server.post("/v1/messages?beta=true", Self.start + #","speed":"fast"}"#)
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "application/json")
            let request = try #require(node.requests.first)
            #expect(answer.headers["request-id"] == "\(request.id)")
            #expect(answer.headers["x-request-id"] == "\(request.id)")
            #expect(answer.headers["warnings"] == "'speed' has no effect: there is one speed.")
            #expect(
                answer.body
                    == #"{"id":"msg_\#(request.id)","type":"message","role":"assistant","model":"tiny","content":"#
                    + #"[{"type":"text","text":"I look."},{"type":"tool_use","id":"c1","name":"f","input":{"a":1}}],"#
                    + #""stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":7,"#
                    + #""cache_creation_input_tokens":0,"cache_read_input_tokens":2,"output_tokens":3,"#
                    + #""output_tokens_details":{"thinking_tokens":0}}}"#)
            #expect(request.maxOutputTokens == 64 && request.reasoning.enabled == false)
        }
    }

    @Test func `a message is streamed as events in their order`() async throws {
        try await LoopbackServer.with(ScriptedNode { _ in Self.calls }) { server in
            let answer = try await server.post("/v1/messages", Self.start + #","stream":true}"#)
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "text/event-stream")
            #expect(answer.headers["request-id"]?.count == 16)
            let names = answer.body.split(separator: "\n").filter { $0.hasPrefix("event: ") }.map { $0.dropFirst(7) }
            #expect(
                names == [
                    "message_start", "ping", "content_block_start", "content_block_delta", "content_block_stop",
                    "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
                    "message_stop",
                ])
        }
    }

    @Test func `tokens are counted by a request that generates nothing`() async throws {
        let node = ScriptedNode { _ in [.started(promptTokens: 9, cachedTokens: 0), .end] }
        try await LoopbackServer.with(node) { server in
            let body = #"{"model":"tiny","messages":[{"role":"user","content":"hi"}]}"#
            let answer = try await server.post("/v1/messages/count_tokens", body)
            #expect(answer.status == 200)
            #expect(answer.body == #"{"input_tokens":9}"#)
            #expect(node.requests.first?.maxOutputTokens == 0)
        }
    }

    @Test func `errors have Anthropic's shape, status and type, streamed or not`() async throws {
        let failures: [(GenerationError, Int, String)] = [
            (.invalidField(name: "messages", value: "x", limit: "y"), 400, "invalid_request_error"),
            (.modelNotFound(name: "none", available: ["tiny"]), 404, "not_found_error"),
            (.modelNotReady(name: "tiny", reason: "loading", retryAfterSeconds: 3), 503, "overloaded_error"),
            (.overloaded(queued: 9, limit: 9, retryAfterSeconds: 3), 429, "rate_limit_error"),
            (.engineFailed(reason: "it broke"), 500, "api_error"),
        ]
        for (error, status, type) in failures {
            let node = ScriptedNode { _ in [.started(promptTokens: 9, cachedTokens: 0), .failed(error)] }
            try await LoopbackServer.with(node) { server in
                for (path, rest) in [
                    ("/v1/messages", "}"), ("/v1/messages", #","stream":true}"#), ("/v1/messages/count_tokens", "}"),
                ] {
                    let answer = try await server.post(path, Self.start + rest)
                    #expect(answer.status == status, "\(error)")
                    #expect((answer.headers["retry-after"] == "3") == [429, 503].contains(status))
                    let object = try answer.object()
                    #expect(object["type"] as? String == "error")
                    #expect(try answer.error()["type"] as? String == type)
                    #expect(object["request_id"] as? String == answer.headers["request-id"])
                }
            }
        }
    }

    @Test func `what is no request is refused in Anthropic's shape before the node hears of it`() async throws {
        let node = ScriptedNode { _ in Self.calls }
        try await LoopbackServer.with(node) { server in
            let refused = [
                ("POST", "/v1/messages", "{", 400, "invalid_request_error"),
                ("POST", "/v1/messages", #"{"model":"tiny"}"#, 400, "invalid_request_error"),
                ("GET", "/v1/messages", "", 405, "invalid_request_error"),
                ("POST", "/v1/messages/batches", "{}", 404, "not_found_error"),
            ]
            for (method, path, body, status, type) in refused {
                let answer = try await server.send(method, path, body)
                #expect(answer.status == status, "\(method) \(path)")
                #expect(try answer.error()["type"] as? String == type)
                #expect(answer.headers["request-id"]?.isEmpty == false)
            }
            #expect(node.requests.isEmpty)
        }
    }

    @Test func `an error after the first byte ends the stream as an event`() async throws {
        let node = ScriptedNode { _ in
            [.started(promptTokens: 9, cachedTokens: 0), .text("Hel"), .failed(.stageLost(stage: 1, reason: "gone"))]
        }
        try await LoopbackServer.with(node) { server in
            let answer = try await server.post("/v1/messages", Self.start + #","stream":true}"#)
            #expect(answer.status == 200)
            #expect(answer.body.components(separatedBy: "event: error\n").count == 2)
            #expect(!answer.body.contains("message_stop"))
        }
    }
}
