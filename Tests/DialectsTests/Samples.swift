import Dialects
import Vocabulary

/// A chat request with the fields of the test added to a minimal body.
func chatBody(_ fields: String = "") -> [UInt8] {
    bytes(#"{"model":"m","messages":[{"role":"user","content":"hi"}]\#(fields.isEmpty ? "" : ",")\#(fields)}"#)
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

func decodeChat(_ body: [UInt8]) throws(DialectError) -> DecodedRequest {
    try OpenAI.ChatCompletion.decode(body, id: RequestID(1))
}

func decodeChat(_ fields: String) throws(DialectError) -> DecodedRequest { try decodeChat(chatBody(fields)) }

/// The error of decoding a chat request with these fields; nil when it decodes.
func chatError(_ fields: String) -> DialectError? {
    do {
        _ = try decodeChat(fields)
        return nil
    } catch {
        return error
    }
}

/// The error of decoding a chat request with these messages; nil when it decodes.
func messagesError(_ messages: String) -> DialectError? {
    do {
        _ = try decodeChat(bytes(#"{"model":"m","messages":\#(messages)}"#))
        return nil
    } catch {
        return error
    }
}

func messages(_ request: GenerationRequest) -> [Message] {
    if case .chat(let messages) = request.prompt { messages } else { [] }
}

let sampleEnd = Completion(
    finishReasons: [.stop], stopTexts: [nil],
    usage: Usage(promptTokens: 12, cachedTokens: 4, outputTokens: 5, reasoningTokens: 2),
    timings: Timings(queueSeconds: 0.001, prefillSeconds: 0.02, decodeSeconds: 0.1))
