import Testing
import Vocabulary

@testable import Gateway

@Suite struct `The time an answer may take` {
    @Test func `seconds are read, whole and in part`() throws {
        #expect(try TimeoutMiddleware.seconds("30") == 30)
        #expect(try TimeoutMiddleware.seconds("0.25") == 0.25)
        #expect(try TimeoutMiddleware.seconds("86400") == 86_400)
    }

    @Test(arguments: [
        "", "0", "-1", "86400.1", "nan", "inf", "1e400", "ten", " 5", "5s", String(repeating: "9", count: 5000),
    ])
    func `anything else is refused by name, value and limit`(text: String) throws {
        let error = try #require(throws: GenerationError.self) { try TimeoutMiddleware.seconds(text) }
        guard case .invalidField("x-request-timeout", let value, let limit) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(value.hasPrefix("'\(text.prefix(64))") && value.count <= 66)
        #expect(limit.contains("86400"))
    }

    @Test func `it reaches the model with the request`() async throws {
        let node = ScriptedNode { request in
            [.failed(.deadlineExceeded(seconds: request.timeoutSeconds ?? -1))]
        }
        try await LoopbackServer.with(node) { server in
            for path in ["/v1/chat/completions", "/v1/messages"] {
                let body = #"{"model":"tiny","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#
                let answer = try await server.send("POST", path, body, ["x-request-timeout": "2.5"])
                #expect(answer.status == 504 && answer.body.contains("within 2.5 s"), "\(path): \(answer.body)")
                let refused = try await server.send("POST", path, body, ["x-request-timeout": "soon"])
                #expect(refused.status == 400 && refused.body.contains("'soon'"), "\(path): \(refused.body)")
                let unbounded = try await server.post(path, body)
                #expect(unbounded.body.contains("within -1.0 s"))
            }
        }
    }
}
