package import Vocabulary

/// The events of an answer, as far as they wait for whoever reads it.
extension BoundedSink<GenerationEvent> {
    /// Makes the stream of an answer, whose reader falls behind by `Limits.unreadBytes` at most. `left` is called once
    /// if the reader goes away before the end.
    package static func answer(
        left: @escaping @Sendable () -> Void
    ) -> (events: AsyncStream<GenerationEvent>, sink: BoundedSink<GenerationEvent>) {
        let (events, sink) = makeStream(limit: Limits.unreadBytes, left: left)
        return (events, sink)
    }

    /// Hands an event on that is not terminal. False when nobody reads it, for the answer is then not needed any more:
    /// a reader who fell too far behind gets nothing of what waits for it but `clientTooSlow`.
    package func tell(_ event: GenerationEvent) -> Bool {
        if yield(event, bytes: event.heldBytes) { return true }
        abandon(with: .failed(.clientTooSlow(limit: limit)))
        return false
    }
}

extension GenerationEvent {
    /// About what the event takes while it waits. **Units:** bytes.
    var heldBytes: Int {
        let parts = if case .output(let delta) = self { delta.partBytes } else { 0 }
        return MemoryLayout<GenerationEvent>.stride + parts
    }
}

extension OutputDelta {
    /// About what its texts and arrays take. **Units:** bytes.
    fileprivate var partBytes: Int {
        var bytes = text.utf8.count + reasoning.utf8.count
        bytes += journal.count * MemoryLayout<Token>.stride + vector.count * MemoryLayout<Float>.stride
        for call in toolCalls { bytes += MemoryLayout<ToolCallDelta>.stride + call.arguments.utf8.count }
        for logprob in logprobs {
            bytes += MemoryLayout<TokenLogprob>.stride
            bytes += (1 + logprob.top.count) * (MemoryLayout<TokenLogprob.Candidate>.stride + Self.tokenBytes)
        }
        bytes += tokens.count * (MemoryLayout<TokenText>.stride + Self.tokenBytes)
        return bytes
    }

    /// An array of a token's few bytes: 32 of the array's own, and 16 because memory is given out in such pieces.
    private static let tokenBytes = 48
}
