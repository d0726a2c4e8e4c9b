import Runner
import Testing
import Vocabulary

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

    @Test func `what is no request is an error`() {
        for text in ["", "{}", "7", #"{"id":"inf"}"#] {
            #expect(throws: DecodingError.self, "\(text)") { try RequestCoding.decode(Array(text.utf8)) }
        }
    }
}
