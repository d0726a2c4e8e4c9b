import Dialects
import Vocabulary

/// A messages request with the fields of the test added to a minimal body.
func decodeMessage(_ fields: String = "") throws(DialectError) -> Anthropic.MessageRequest {
    let start = #"{"model":"m","max_tokens":4096,"messages":[{"role":"user","content":"hi"}]"#
    return try Anthropic.MessageRequest.decode(
        bytes(start + (fields.isEmpty ? "" : ",") + fields + "}"), id: RequestID(1))
}

/// The error of decoding a messages request with these fields; nil when it decodes.
func messageError(_ fields: String) -> DialectError? {
    do {
        _ = try decodeMessage(fields)
        return nil
    } catch {
        return error
    }
}

/// A request with these messages.
func decodeConversation(_ messages: String) throws(DialectError) -> Anthropic.MessageRequest {
    try Anthropic.MessageRequest.decode(
        bytes(#"{"model":"m","max_tokens":64,"messages":\#(messages)}"#), id: RequestID(1))
}

func conversationError(_ messages: String) -> DialectError? {
    do {
        _ = try decodeConversation(messages)
        return nil
    } catch {
        return error
    }
}
