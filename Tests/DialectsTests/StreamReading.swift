import Dialects
import Vocabulary

/// What a careful client sees of an event stream.
struct StreamReading {
    var comments: [String] = []
    /// The data of the events that are JSON.
    var chunks: [JSONNode] = []
    var doneCount = 0
    /// Whether anything follows `[DONE]` or an error.
    var continuesAfterEnd = false

    /// Reads a whole stream; the framing MUST be exact.
    init(_ bytes: [UInt8]) throws {
        guard let stream = String(validating: bytes, as: UTF8.self) else { throw StreamFault.notUTF8 }
        guard stream.isEmpty || stream.hasSuffix("\n\n") else { throw StreamFault.cutEvent }
        for event in stream.split(separator: "\n\n", omittingEmptySubsequences: true) {
            guard !event.contains("\n"), !event.contains("\r") else { throw StreamFault.manyLines(String(event)) }
            if doneCount > 0 || chunks.contains(where: { $0["error"] != nil }) { continuesAfterEnd = true }
            if event.hasPrefix(": ") {
                comments.append(String(event.dropFirst(2)))
            } else if event == "data: [DONE]" {
                doneCount += 1
            } else if event.hasPrefix("data: ") {
                chunks.append(try JSONReader.read(Array(event.dropFirst(6).utf8)))
            } else {
                throw StreamFault.unknownField(String(event))
            }
        }
    }

    enum StreamFault: Error { case notUTF8, cutEvent, manyLines(String), unknownField(String) }

    var usage: JSONNode? { chunks.last?["usage"] }
    var error: JSONNode? { chunks.last?["error"] }
    var choices: [JSONNode] { chunks.flatMap { $0["choices"]?.array ?? [] } }
    var timings: JSONNode? { chunks.last?["timings"] }

    /// The chat message of one choice, put together from its deltas the way SDKs do.
    func message(of choice: Int) -> RebuiltChoice {
        var rebuilt = RebuiltChoice()
        for entry in choices where entry["index"]?.number?.integer == .exact(Int64(choice)) {
            rebuilt.add(entry)
        }
        return rebuilt
    }
}

/// A choice put together from deltas, or taken from a body.
struct RebuiltChoice: Equatable {
    struct Call: Equatable {
        var index: Int64
        var id: String
        var name: String
        var arguments: [UInt8]
    }

    var roles: [String] = []
    var content: [UInt8] = []
    var reasoning: [UInt8] = []
    var calls: [Call] = []
    var logprobs: [[UInt8]] = []
    var finish: [String] = []

    mutating func add(_ entry: JSONNode) {
        if let role = entry["delta"]?["role"]?.string { roles.append(role) }
        content += bytes(entry["delta"]?["content"]?.string ?? entry["text"]?.string ?? "")
        reasoning += bytes(entry["delta"]?["reasoning_content"]?.string ?? "")
        for call in entry["delta"]?["tool_calls"]?.array ?? [] {
            guard case .exact(let index)? = call["index"]?.number?.integer else { continue }
            let function = call["function"]
            if !calls.contains(where: { $0.index == index }) {
                calls.append(
                    Call(
                        index: index, id: call["id"]?.string ?? "?", name: function?["name"]?.string ?? "?",
                        arguments: []))
            }
            for place in calls.indices where calls[place].index == index {
                calls[place].arguments += bytes(function?["arguments"]?.string ?? "")
            }
        }
        for logprob in entry["logprobs"]?["content"]?.array ?? [] { logprobs.append(bytes(logprob.text)) }
        if let reason = entry["finish_reason"]?.string { finish.append(reason) }
    }

    /// A choice of a `chat.completion` body.
    init(bodyChoice: JSONNode) {
        let message = bodyChoice["message"]
        roles = [message?["role"]?.string ?? "?"]
        content = bytes(message?["content"]?.string ?? "")
        reasoning = bytes(message?["reasoning_content"]?.string ?? "")
        for (index, call) in (message?["tool_calls"]?.array ?? []).enumerated() {
            calls.append(
                Call(
                    index: Int64(index), id: call["id"]?.string ?? "?",
                    name: call["function"]?["name"]?.string ?? "?",
                    arguments: bytes(call["function"]?["arguments"]?.string ?? "?")))
        }
        for logprob in bodyChoice["logprobs"]?["content"]?.array ?? [] { logprobs.append(bytes(logprob.text)) }
        finish = [bodyChoice["finish_reason"]?.string ?? "?"]
    }

    init() {}
}

/// A random but lawful sequence of events: `queued* started output* finished`.
func randomEvents(_ random: inout SeededRandom, choices: Int) -> [GenerationEvent] {
    var events: [GenerationEvent] = []
    for place in 0..<random.below(3) { events.append(.queued(position: 3 - place, predictedWaitSeconds: 0.5)) }
    events.append(.started(promptTokens: 10, cachedTokens: random.below(10)))
    var callCounts = Array(repeating: 0, count: choices)
    for _ in 0..<random.below(30) {
        var delta = OutputDelta(choice: random.below(choices))
        if random.below(2) == 0 { delta.text = randomText(&random, limit: 6) }
        if random.below(4) == 0 { delta.reasoning = randomText(&random, limit: 6) }
        if random.below(4) == 0 { delta.toolCalls = [randomCall(&random, &callCounts[delta.choice])] }
        if random.below(4) == 0 {
            delta.logprobs = (0...random.below(3)).map { _ in
                let top = (0..<random.below(3)).map { _ in randomCandidate(&random) }
                return TokenLogprob(chosen: randomCandidate(&random), top: top)
            }
        }
        events.append(.output(delta))
    }
    var end = sampleEnd
    end.finishReasons = (0..<choices).map { _ in [.stop, .length, .toolCalls][random.below(3)] }
    events.append(.finished(end))
    return events
}

private func randomCall(_ random: inout SeededRandom, _ count: inout Int) -> ToolCallDelta {
    if count > 0, random.below(2) == 0 {
        return ToolCallDelta(index: random.below(count), arguments: randomText(&random, limit: 6))
    }
    count += 1
    return ToolCallDelta(
        index: count - 1, id: random.below(4) == 0 ? nil : "call_\(random.below(1000))", name: "f",
        arguments: randomText(&random, limit: 3))
}

private func randomCandidate(_ random: inout SeededRandom) -> TokenLogprob.Candidate {
    let bytes = (0..<random.below(4)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    let logprob: Float = random.below(8) == 0 ? -.infinity : -Float(random.below(1000)) / 64
    return TokenLogprob.Candidate(token: 1, bytes: bytes, logprob: logprob)
}
