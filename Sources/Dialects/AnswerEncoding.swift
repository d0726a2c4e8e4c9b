package import Vocabulary

/// Turns the events of one request into a dialect's stream, byte by byte as the client sees it.
package protocol AnswerEncoder: Sendable {
    /// Appends what the client sees of an event; nothing for events without a visible side.
    mutating func encode(_ event: GenerationEvent, into bytes: inout [UInt8])

    /// Appends what keeps a silent connection open: something every client of the dialect passes over.
    func keepAlive(into bytes: inout [UInt8])
}

/// Gathers the events of one request into a dialect's response body.
package protocol AnswerAggregate: Sendable {
    /// Takes an event in; what comes after a terminal event is ignored.
    mutating func absorb(_ event: GenerationEvent)

    /// The body, once the answer is complete.
    func outcome() -> AggregateOutcome
}

extension OpenAI.ChatCompletionEncoder: AnswerEncoder {}
extension OpenAI.CompletionEncoder: AnswerEncoder {}
extension OpenAI.ChatCompletionAggregate: AnswerAggregate {}
extension OpenAI.CompletionAggregate: AnswerAggregate {}
