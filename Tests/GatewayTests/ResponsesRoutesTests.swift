import Dialects
import Foundation
import Gateway
import Testing
import Vocabulary

/// A request for a response of the model that is there.
func ask(_ fields: String = "", input: String = #""hi""#) -> String {
    #"{"model":"tiny","input":\#(input)\#(fields.isEmpty ? "" : ",")\#(fields)}"#
}

extension HTTPAnswer {
    /// The name and data of every event of an event stream whose events have names.
    func namedEvents() throws -> [(name: String, data: [String: Any])] {
        try body.components(separatedBy: "\n\n").filter { !$0.isEmpty && $0 != "data: [DONE]" && !$0.hasPrefix(": ") }
            .map { event in
                let lines = event.components(separatedBy: "\n")
                guard lines.count == 2, lines[0].hasPrefix("event: "), lines[1].hasPrefix("data: ") else {
                    throw Malformed(text: event)
                }
                return (String(lines[0].dropFirst(7)), try Self.object(String(lines[1].dropFirst(6))))
            }
    }

    /// The identity of the response that is the body.
    func responseID() throws -> String {
        guard let id = try object()["id"] as? String else { throw Malformed(text: body) }
        return id
    }

    /// The text of the first message of the response that is the body.
    func outputText() throws -> String? {
        let output = try object()["output"] as? [[String: Any]]
        let message = output?.first { $0["type"] as? String == "message" }
        return (message?["content"] as? [[String: Any]])?.first?["text"] as? String
    }
}

@Suite(.timeLimit(.minutes(1))) struct `Responses routes` {
    private func messages(_ request: GenerationRequest?) -> [Message] {
        if case .chat(let messages)? = request?.prompt { messages } else { [] }
    }

    @Test func `a response is answered, kept, listed and deleted`() async throws {
        let node = ScriptedNode { _ in .hello }
        try await LoopbackServer.with(node, store: MemoryResponseStore()) { server in
            let answer = try await server.post("/v1/responses", ask(#""metadata":{"a":"b"},"keep_alive":1"#))
            #expect(answer.status == 200)
            #expect(answer.headers["warnings"]?.contains("keep_alive") == true)
            let object = try answer.object()
            #expect(object["object"] as? String == "response" && object["status"] as? String == "completed")
            #expect(object["store"] as? Bool == true)
            #expect(try answer.outputText() == "Hello 👋")
            let id = try answer.responseID()
            let request = try #require(node.requests.first)
            #expect(id.hasPrefix("resp_\(request.id)") && id.count == 37)
            #expect(answer.headers["x-request-id"] == "\(request.id)")
            #expect(messages(request) == [Message(role: .user, text: "hi")])

            #expect(try await server.get("/v1/responses/\(id)").body == answer.body)
            let items = try await server.get("/v1/responses/\(id)/input_items?limit=1&order=asc").object()
            let data = try #require(items["data"] as? [[String: Any]])
            #expect(data.map { $0["role"] as? String } == ["user"] && items["has_more"] as? Bool == false)
            #expect(try await server.get("/v1/responses/\(id)/input_items?limit=0").status == 400)
            #expect(try await server.get("/v1/responses/\(id)?stream=true").error()["param"] as? String == "stream")
            #expect(try await server.post("/v1/responses/\(id)/cancel", "").status == 400)

            let deleted = try await server.send("DELETE", "/v1/responses/\(id)")
            #expect(deleted.status == 200)
            #expect(try deleted.object()["deleted"] as? Bool == true)
            for (method, path) in [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")] {
                let missing = try await server.send(method, "/v1/responses/\(id)\(path)")
                #expect(missing.status == 404, "\(method) \(path)")
                #expect(try missing.error()["code"] as? String == "response_not_found")
            }
        }
    }

    /// How many answers were counted that are not as was demanded.
    private func offSchema(_ server: LoopbackServer) async throws -> Int {
        let text = try await server.get("/metrics").body
        let name = "skein_http_errors_total{dialect=\"openai\",code=\"answer_off_schema\"} "
        let line = text.components(separatedBy: "\n").first { $0.hasPrefix(name) }
        return line.flatMap { Int($0.dropFirst(name.count)) } ?? 0
    }

    @Test func `an answer is held against its schema once more, whole, streamed and in the background`() async throws {
        let schema = #"{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}"#
        let format = #""text":{"format":{"type":"json_schema","name":"n","schema":\#(schema)}}"#
        let tool = #""tools":[{"type":"function","name":"f","strict":true,"parameters":\#(schema)}]"#
        let node = ScriptedNode { request in
            guard request.tools.isEmpty else {
                let call = ToolCallDelta(index: 0, id: "c", name: "f", arguments: #"{"a":"x"}"#)
                return [.started(promptTokens: 9, cachedTokens: 0), .output(OutputDelta(toolCalls: [call])), .end]
            }
            return [.started(promptTokens: 9, cachedTokens: 0), .text(#"{"b":1}"#), .end]
        }
        try await LoopbackServer.with(node, store: MemoryResponseStore()) { server in
            let whole = try await server.post("/v1/responses", ask(format + #","nonesuch":1"#))
            #expect(whole.status == 200 && whole.headers["warnings"]?.contains("lacks 'a'") == true)
            #expect(whole.headers["warnings"]?.contains("'nonesuch'") == true)
            let call = try await server.post("/v1/responses", ask(tool))
            #expect(call.headers["warnings"]?.contains("call of 'f' breaks its schema") == true)
            #expect(try await offSchema(server) == 2)
            let streamed = try await server.post("/v1/responses", ask(format + #","stream":true"#))
            #expect(streamed.status == 200 && streamed.headers["warnings"] == nil)
            #expect(try await offSchema(server) == 3)
            let background = try await server.post("/v1/responses", ask(format + #","background":true,"stream":true"#))
            #expect(try background.namedEvents().last?.name == "response.completed")
            #expect(try await offSchema(server) == 4)
            let good = try await server.post("/v1/responses", ask())
            #expect(good.headers["warnings"] == nil)
            #expect(try await offSchema(server) == 4)
        }
    }

    @Test func `a streamed response is the kept one`() async throws {
        try await LoopbackServer.with(ScriptedNode { _ in .hello }, store: MemoryResponseStore()) { server in
            let answer = try await server.post("/v1/responses", ask(#""stream":true"#))
            #expect(answer.status == 200 && answer.headers["content-type"] == "text/event-stream")
            #expect(answer.body.hasSuffix("\n\ndata: [DONE]\n\n"))
            let events = try answer.namedEvents()
            #expect(
                events.map(\.name) == [
                    "response.created", "response.in_progress", "response.output_item.added",
                    "response.content_part.added", "response.output_text.delta", "response.output_text.delta",
                    "response.output_text.done", "response.content_part.done", "response.output_item.done",
                    "response.completed",
                ])
            #expect(events.map { $0.data["sequence_number"] as? Int } == Array(0..<events.count))
            let last = try #require(events.last?.data["response"] as? [String: Any])
            let kept = try await server.get("/v1/responses/\(last["id"] as? String ?? "")").object()
            #expect(NSDictionary(dictionary: kept) == NSDictionary(dictionary: last))
        }
    }

    @Test func `a response goes on where another ended`() async throws {
        let node = ScriptedNode { _ in .hello }
        try await LoopbackServer.with(node, store: MemoryResponseStore()) { server in
            let first = try await server.post("/v1/responses", ask(#""instructions":"old""#)).responseID()
            let second = try await server.post(
                "/v1/responses", ask(#""previous_response_id":"\#(first)""#, input: #""more""#)
            ).responseID()
            let third = try await server.post(
                "/v1/responses",
                ask(
                    #""previous_response_id":"\#(second)","instructions":"new","store":false"#,
                    input: #"[{"id":"msg_\#(first.dropFirst(5))_i0"}]"#))
            #expect(third.status == 200)
            #expect(
                messages(node.requests.last) == [
                    Message(role: .system, text: "new"), Message(role: .user, text: "hi"),
                    Message(role: .assistant, text: "Hello 👋"), Message(role: .user, text: "more"),
                    Message(role: .assistant, text: "Hello 👋"), Message(role: .user, text: "hi"),
                ])
            #expect(try third.object()["store"] as? Bool == false)
            #expect(try await server.get("/v1/responses/\(try third.responseID())").status == 404)

            _ = try await server.send("DELETE", "/v1/responses/\(first)")
            let broken = try await server.post("/v1/responses", ask(#""previous_response_id":"\#(second)""#))
            #expect(broken.status == 400)
            let error = try broken.error()
            #expect(error["code"] as? String == "previous_response_not_found")
            #expect(error["param"] as? String == "previous_response_id")
            #expect((error["message"] as? String)?.contains(first) == true)
        }
    }

    @Test func `without a store nothing is kept, and what needs one is refused`() async throws {
        try await LoopbackServer.with(ScriptedNode { _ in .hello }) { server in
            let answer = try await server.post("/v1/responses", ask())
            #expect(try answer.object()["store"] as? Bool == false)
            for (field, value) in [("background", "true"), ("previous_response_id", #""resp_1""#)] {
                let refused = try await server.post("/v1/responses", ask(#""\#(field)":\#(value)"#))
                #expect(refused.status == 400)
                #expect(try refused.error()["param"] as? String == field)
            }
        }
    }

    @Test func `a store that fails costs no answer, but the background needs it`() async throws {
        let store = MemoryResponseStore()
        await store.fail(with: .full)
        try await LoopbackServer.with(ScriptedNode { _ in .hello }, store: store) { server in
            let whole = try await server.post("/v1/responses", ask())
            #expect(whole.status == 200)
            #expect(try whole.object()["store"] as? Bool == false)
            let events = try await server.post("/v1/responses", ask(#""stream":true"#)).namedEvents()
            #expect((events.last?.data["response"] as? [String: Any])?["store"] as? Bool == false)
            let background = try await server.post("/v1/responses", ask(#""background":true"#))
            #expect(background.status == 507)
            #expect(try background.error()["code"] as? String == "response_storage_full")
        }
    }

    @Test func `an error before the first byte has its own status, streamed or not`() async throws {
        let failures: [(GenerationError, Int, String?)] = [
            (.contextLengthExceeded(promptTokens: 9, outputTokens: 0, window: 8), 400, "input"),
            (.modelNotFound(name: "none", available: ["tiny"]), 404, "model"),
            (.overloaded(queued: 9, limit: 9, retryAfterSeconds: 3), 429, nil),
            (.engineFailed(reason: "it broke"), 500, nil),
        ]
        for (error, status, param) in failures {
            let node = ScriptedNode { _ in [.started(promptTokens: 9, cachedTokens: 0), .failed(error)] }
            try await LoopbackServer.with(node, store: MemoryResponseStore()) { server in
                for fields in ["", #""stream":true"#] {
                    let answer = try await server.post("/v1/responses", ask(fields))
                    #expect(answer.status == status, "\(error)")
                    #expect(try answer.error()["param"] as? String == param)
                }
            }
        }
    }

    @Test func `an error after the first byte is an event, then the response failed`() async throws {
        let node = ScriptedNode { _ in
            [.started(promptTokens: 9, cachedTokens: 0), .text("Hel"), .failed(.stageLost(stage: 1, reason: "killed"))]
        }
        try await LoopbackServer.with(node, store: MemoryResponseStore()) { server in
            let answer = try await server.post("/v1/responses", ask(#""stream":true"#))
            #expect(answer.status == 200 && answer.body.hasSuffix("data: [DONE]\n\n"))
            let events = try answer.namedEvents()
            #expect(events.suffix(2).map(\.name) == ["error", "response.failed"])
            let id = (events.last?.data["response"] as? [String: Any])?["id"] as? String ?? ""
            #expect(try await server.get("/v1/responses/\(id)").object()["status"] as? String == "failed")
        }
    }

    @Test func `a conversation too long for the window loses its oldest turns, if the client wants that`() async throws
    {
        let node = ScriptedNode { request in
            guard case .chat(let messages) = request.prompt, messages.count <= 3 else {
                return [.failed(.contextLengthExceeded(promptTokens: 100, outputTokens: 0, window: 90))]
            }
            return .hello
        }
        let turns = (0..<6).map { #"{"role":"user","content":"question \#($0)"}"# }.joined(separator: ",")
        try await LoopbackServer.with(node, store: MemoryResponseStore()) { server in
            for fields in ["", #""stream":true"#] {
                #expect(try await server.post("/v1/responses", ask(fields, input: "[\(turns)]")).status == 400)
            }
            let answer = try await server.post("/v1/responses", ask(#""truncation":"auto""#, input: "[\(turns)]"))
            #expect(answer.status == 200)
            #expect(messages(node.requests.last).map(\.text) == ["question 3", "question 4", "question 5"])
            // What was asked is kept whole.
            let kept = try await server.get("/v1/responses/\(try answer.responseID())/input_items").object()
            #expect((kept["data"] as? [Any])?.count == 6)
            #expect(Set(node.requests.map(\.id)).count == node.requests.count)
        }
    }

    @Test func `an answer that may be longer than the window does not cost the conversation`() async throws {
        let node = ScriptedNode { request in
            guard case .chat(let messages) = request.prompt, messages.count * 20 < 90 else {
                let output = request.maxOutputTokens ?? 0
                return [.failed(.contextLengthExceeded(promptTokens: 120, outputTokens: output, window: 90))]
            }
            return .hello
        }
        let turns = (0..<6).map { #"{"role":"user","content":"question \#($0)"}"# }.joined(separator: ",")
        try await LoopbackServer.with(node, store: MemoryResponseStore()) { server in
            for limit in [100_000, Int(Int32.max)] {
                let fields = #""truncation":"auto","max_output_tokens":\#(limit)"#
                let answer = try await server.post("/v1/responses", ask(fields, input: "[\(turns)]"))
                #expect(answer.status == 200)
                let kept = messages(node.requests.last).map(\.text)
                #expect(kept == ["question 3", "question 4", "question 5"], "\(limit)")
            }
        }
    }

    @Test func `a conversation is compacted by the model`() async throws {
        let node = ScriptedNode { _ in .hello }
        try await LoopbackServer.with(node, store: MemoryResponseStore()) { server in
            let first = try await server.post("/v1/responses", ask()).responseID()
            let answer = try await server.post(
                "/v1/responses/compact", ask(#""previous_response_id":"\#(first)""#, input: #""more""#))
            #expect(answer.status == 200)
            let object = try answer.object()
            #expect(object["object"] as? String == "response.compaction")
            let output = try #require(object["output"] as? [[String: Any]])
            #expect(output.map { $0["type"] as? String } == ["message", "message", "compaction"])
            let input = String(decoding: try JSONSerialization.data(withJSONObject: output), as: UTF8.self)
            #expect(try await server.post("/v1/responses", ask(input: input)).status == 200)
            #expect(messages(node.requests.last).last?.text.hasSuffix("Hello 👋") == true)
            #expect(try await server.post("/v1/responses/compact", #"{"model":"tiny"}"#).status == 400)
        }
    }

    @Test func `what is no request is refused before the node hears of it`() async throws {
        let node = ScriptedNode { _ in .hello }
        try await LoopbackServer.with(node, store: MemoryResponseStore()) { server in
            let bodies = [
                ("", "invalid_json"), ("[]", "invalid_type"), (#"{"model":"tiny"}"#, "missing_required_parameter"),
                (ask(input: "[]"), "array_below_min_length"), (ask(#""conversation":"c""#), "unsupported_parameter"),
                (ask(input: #"[{"id":"msg_x"}]"#), "item_not_found"),
                (ask(#""tools":[{"type":"web_search"}],"tool_choice":{"type":"web_search"}"#), "unsupported_value"),
                (ask(#""tools":[{"type":"web_search"}],"tool_choice":"required""#), "conflicting_parameters"),
                (ask(#""previous_response_id":"resp_none""#), "previous_response_not_found"),
            ]
            for (body, code) in bodies {
                let answer = try await server.post("/v1/responses", body)
                #expect(answer.status == 400, "\(body)")
                #expect(try answer.error()["code"] as? String == code, "\(body)")
            }
            #expect(node.requests.isEmpty)
            let wrong = [
                ("GET", "/v1/responses", "POST"), ("PUT", "/v1/responses/resp_1", "GET, DELETE"),
                ("GET", "/v1/responses/resp_1/cancel", "POST"), ("POST", "/v1/responses/resp_1/input_items", "GET"),
            ]
            for (method, path, allowed) in wrong {
                let answer = try await server.send(method, path)
                #expect(answer.status == 405 && answer.headers["allow"] == allowed, "\(method) \(path)")
            }
            #expect(try await server.get("/v1/responses/resp_1/output").status == 404)
            #expect(try await server.get("/v1/responses/resp_1?page=2").status == 400)
        }
    }

    @Test func `tools that cannot run here are named in a warning, and what was kept in the response`() async throws {
        let node = ScriptedNode { _ in .hello }
        try await LoopbackServer.with(node, store: MemoryResponseStore()) { server in
            let tools = #""tools":[{"type":"web_search"},{"type":"function","name":"f"},{"type":"local_shell"}]"#
            for fields in [tools, tools + #","stream":true"#] {
                let answer = try await server.post("/v1/responses", ask(fields))
                #expect(answer.status == 200)
                for type in ["'web_search'", "'local_shell'"] {
                    #expect(answer.headers["warnings"]?.contains(type) == true)
                }
                #expect(node.requests.last?.tools.map(\.name) == ["f"])
            }
            let shown = try await server.post("/v1/responses", ask(tools)).object()["tools"] as? [[String: Any]]
            #expect(shown?.map { $0["name"] as? String } == ["f"])
        }
    }

    @Test func `a client that leaves cancels the request`() async throws {
        let node = SteppedNode()
        try await LoopbackServer.with(node, store: MemoryResponseStore()) { server in
            for (number, fields) in ["", #""stream":true"#].enumerated() {
                let connection = try await RawConnection.open(port: server.port)
                connection.send("POST", "/v1/responses", ask(fields))
                #expect(try await node.begins.next() == number)
                node.send([.started(promptTokens: 9, cachedTokens: 0), .text("Hel")], to: number)
                if !fields.isEmpty {
                    var bytes: [UInt8] = []
                    for await chunk in connection.received {
                        bytes += chunk
                        if String(decoding: bytes, as: UTF8.self).contains("Hel") { break }
                    }
                }
                connection.close()
                #expect(try await node.stops.next() == number)
            }
        }
    }
}
