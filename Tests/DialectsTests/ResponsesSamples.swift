import Dialects
import Vocabulary

/// A Responses request with the fields of the test added to a minimal body.
func responsesBody(_ fields: String = "") -> [UInt8] {
    bytes(#"{"model":"m","input":"hi"\#(fields.isEmpty ? "" : ",")\#(fields)}"#)
}

func decodeResponses(_ body: [UInt8]) throws(DialectError) -> Responses.Request {
    try Responses.Request.decode(body, id: RequestID(1))
}

func decodeResponses(_ fields: String = "") throws(DialectError) -> Responses.Request {
    try decodeResponses(responsesBody(fields))
}

/// The request with its conversation made, as if nothing had been said before.
func settled(
    _ body: String, id: String = "resp_1", history: [Responses.Record] = [], referenced: [Responses.Record] = []
) throws -> Responses.Request {
    var request = try decodeResponses(bytes(body))
    try request.settle(responseID: id, history: history, referenced: referenced)
    return request
}

/// The messages of a request with this `input`.
func conversation(_ input: String, _ fields: String = "") throws -> [Message] {
    messages(try settled(#"{"model":"m","input":\#(input)\#(fields)}"#).generation)
}

/// The error of decoding a Responses request with these fields; nil when it decodes.
func responsesError(_ fields: String) -> DialectError? { responsesBodyError(text(responsesBody(fields))) }

/// The error of decoding this body; nil when it decodes.
func responsesBodyError(_ body: String) -> DialectError? {
    do {
        _ = try decodeResponses(bytes(body))
        return nil
    } catch {
        return error
    }
}

/// The error of decoding or settling a request with this `input`.
func inputError(_ input: String) -> DialectError? {
    let body = #"{"model":"m","input":\#(input)}"#
    if let error = responsesBodyError(body) { return error }
    do {
        _ = try settled(body)
        return nil
    } catch Responses.StateError.invalid(let error) {
        return error
    } catch {
        return nil
    }
}

/// An answer that has taken all of these events, and what its stream said.
func answered(
    _ events: [GenerationEvent], _ fields: String = "", id: String = "resp_1", emits: Bool = true
) throws -> (answer: Responses.Answer, events: [Responses.StreamEvent]) {
    var request = try decodeResponses(fields)
    try request.settle(responseID: id, history: [], referenced: [])
    var answer = Responses.Answer(id: id, created: 1_700_000_000, request: request, emits: emits)
    var stream: [Responses.StreamEvent] = []
    for event in events { answer.absorb(event, at: 1_700_000_009, into: &stream) }
    if answer.status.isOver { answer.conclude(into: &stream) }
    return (answer, stream)
}

extension Responses.StreamEvent {
    var text: String { String(decoding: json, as: UTF8.self) }

    func node() throws -> JSONNode { try JSONReader.read(json) }
}
