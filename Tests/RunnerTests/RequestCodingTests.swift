import Testing
import Vocabulary

@testable import Runner

@Suite struct `Requests between node and runner` {
    @Test func `a request comes back from its bytes, with tokens that are banned`() throws {
        var request = GenerationRequest(
            id: RequestID(7), model: "tiny", prompt: .chat([Message(role: .user, text: "before\u{0}after")]))
        request.sampling.logitBias = [
            LogitBias(token: 5, bias: -.infinity), LogitBias(token: 6, bias: .infinity), LogitBias(token: 7, bias: 1.5),
        ]
        request.sampling.samplers = [.topK, .typicalP, .temperature]
        request.stop = ["a"]
        request.stopTokens = [2, 0]
        let read = try RequestCoding.decode(try RequestCoding.encode(request))
        #expect(read.sampling == request.sampling && read.stop == request.stop && read.id == request.id)
        #expect(read.stopTokens == [2, 0])
        guard case .chat(let messages) = read.prompt else {
            Issue.record("the prompt is \(read.prompt)")
            return
        }
        #expect(messages.map(\.text) == ["before\u{0}after"])
    }

    @Test(arguments: [nil, "", "key_0123456789ab", "schlüssel"] as [String?])
    func `whose request it is can be told before it is read`(caller: String?) throws {
        var request = GenerationRequest(id: RequestID(7), model: "tiny", prompt: .text(#"{"caller":"another"}"#))
        request.caller = caller
        let bytes = try RequestCoding.encode(request)
        let read = try RequestCoding.decode(bytes)
        #expect(RequestCoding.caller(in: bytes) == caller && read.caller == caller)
        guard case .text(#"{"caller":"another"}"#) = read.prompt else {
            Issue.record("the prompt is \(read.prompt)")
            return
        }
    }

    @Test(
        arguments: [
            ("", nil), ("{}", nil), (#"{"id":7,"caller":"a"}"#, nil), (#"{"caller":7}"#, nil), (#"{"caller":"a"#, "a"),
            (#"{"caller":"a\"b"}"#, #"a\"#),
        ] as [(String, String?)])
    func `a caller is found at the beginning of the bytes only`(text: String, caller: String?) {
        #expect(RequestCoding.caller(in: Array(text.utf8)) == caller)
    }

    @Test func `of a caller's name no more is looked at than its beginning`() {
        let body = #"{"caller":""# + String(repeating: "a", count: 1000)
        #expect(RequestCoding.caller(in: Array(body.utf8)) == String(repeating: "a", count: 128))
    }

    @Test func `what is no request is an error`() {
        for text in ["", "{}", "7", #"{"id":"inf"}"#] {
            #expect(throws: DecodingError.self, "\(text)") { try RequestCoding.decode(Array(text.utf8)) }
        }
    }
}
