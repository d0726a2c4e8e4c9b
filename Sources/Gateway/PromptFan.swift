import Synchronization
import Vocabulary

/// Answers a request with several prompts by a request for each. Choice c of prompt p is choice p × n + c of the whole.
///
/// Answers are handed on one after the other while the next few are being made; their pieces wait in their streams. One
/// that becomes too long to wait is made again when its turn comes. The first one that fails ends them all, because
/// the client gets one answer.
struct PromptFan: Generating {
    let backend: any Generating
    /// The prompts in their order.
    let prompts: [GenerationRequest.Prompt]
    /// Answers to each of them.
    let choices: Int

    /// How many answers there are in all.
    var answerCount: Int { prompts.count * choices }

    func models() async -> [ServedModel] { await backend.models() }

    func nextRequestID() -> RequestID { backend.nextRequestID() }

    func metrics() async -> [MetricSample] { await backend.metrics() }

    /// `request` MUST ask for `answerCount` choices; its prompt is passed over.
    func generate(_ request: GenerationRequest) async -> GenerationStream {
        precondition(request.choiceCount == answerCount, "\(request.choiceCount) choices of \(answerCount)")
        let answers = Answers(self, request)
        let events = AsyncStream<GenerationEvent>(
            unfolding: { await answers.next() }, onCancel: { answers.cancel() })
        // Whoever only may end the answers does not keep them: they end with the last one who reads them.
        return GenerationStream(events: events) { [weak answers] in answers?.cancel() }
    }

    /// The request of one prompt; all of them together have the time the whole has since its arrival.
    private func single(_ index: Int, of request: GenerationRequest, since arrival: Arrival) -> GenerationRequest {
        var single = request
        single.elapsedSeconds = arrival.elapsedSeconds
        single.prompt = prompts[index]
        single.choiceCount = choices
        if index > 0 { single.id = backend.nextRequestID() }
        return single
    }

    /// The answers to one request, for one reader at a time.
    private final class Answers: Sendable {
        private struct State {
            /// What was asked so far, by prompt.
            var asked: [GenerationStream] = []
            /// The prompt whose answer is read.
            var index = 0
            /// Whether its turn has begun, so that what waits of it waits for the client alone.
            var isBegun = false
            var total = Completion(
                finishReasons: [], stopTexts: [], usage: Usage(promptTokens: 0, outputTokens: 0),
                timings: Timings(queueSeconds: 0, prefillSeconds: 0, decodeSeconds: 0))
            var isCancelled = false
            var isOver = false
        }

        private let fan: PromptFan
        private let request: GenerationRequest
        private let arrival: Arrival
        private let state = Mutex(State())

        init(_ fan: PromptFan, _ request: GenerationRequest) {
            self.fan = fan
            self.request = request
            arrival = Arrival(of: request)
        }

        /// The next event of the whole; nil behind the terminal one.
        func next() async -> GenerationEvent? {
            while let answer = await current() {
                guard let event = await Self.next(of: answer.events) else { break }
                if case .failed(.clientTooSlow) = event, await askAgain() { continue }
                if case .failed = event { cancel() }
                if let seen = take(event) {
                    if seen.isTerminal { state.withLock { $0.isOver = true } }
                    return seen
                }
            }
            return state.withLock { state in
                defer { state.isOver = true }
                return state.isOver || !state.isCancelled ? nil : .failed(.cancelled)
            }
        }

        /// Ends all of them, from any thread.
        func cancel() {
            let asked = state.withLock { state in
                state.isCancelled = true
                return state.asked[min(state.index, state.asked.count)...]
            }
            for answer in asked { answer.cancel() }
        }

        /// The answer that is read, after the next few were asked for; nil when there is none.
        private func current() async -> GenerationStream? {
            while let index = state.withLock({ fan.due($0.asked.count, $0.index, $0.isCancelled || $0.isOver) }) {
                await ask(index)
            }
            return state.withLock { state in
                state.isOver || state.index >= state.asked.count ? nil : state.asked[state.index]
            }
        }

        /// Asks for the answer of a prompt, the next one or one that was asked for before.
        private func ask(_ index: Int) async {
            let answer = await fan.backend.generate(fan.single(index, of: request, since: arrival))
            let isLate = state.withLock { state in
                if index < state.asked.count { state.asked[index] = answer } else { state.asked.append(answer) }
                return state.isCancelled
            }
            if isLate { answer.cancel() }
        }

        /// Asks once more for the answer that is read, if it ended before its turn: it had to wait for the others then,
        /// and the client was not slow. False if that was not so.
        private func askAgain() async -> Bool {
            let index = state.withLock { state -> Int? in
                defer { state.isBegun = true }
                return state.isBegun || state.isCancelled ? nil : state.index
            }
            guard let index else { return false }
            await ask(index)
            return true
        }

        /// What the whole says of an event of the answer that is read; nil for nothing.
        private func take(_ event: GenerationEvent) -> GenerationEvent? {
            state.withLock { state in
                let index = state.index
                let seen = fan.take(event, &state.total, &state.index)
                state.isBegun = state.index == index
                return seen
            }
        }

        private static func next(of events: AsyncStream<GenerationEvent>) async -> GenerationEvent? {
            for await event in events { return event }
            return nil
        }
    }

    /// The prompt to ask next; nil while enough are under way, and when all were asked.
    private func due(_ asked: Int, _ read: Int, _ isOver: Bool) -> Int? {
        !isOver && asked < min(prompts.count, read + Limits.promptsAtOnce) ? asked : nil
    }

    /// What the whole says of an event of the prompt at `index`; nil for nothing.
    private func take(_ event: GenerationEvent, _ total: inout Completion, _ index: inout Int) -> GenerationEvent? {
        switch event {
        case .failed: return event
        case .preparing, .queued: return index == 0 ? event : nil
        case .started(let promptTokens, let cachedTokens):
            return .started(
                promptTokens: total.usage.promptTokens + promptTokens,
                cachedTokens: total.usage.cachedTokens + cachedTokens)
        case .output(var delta):
            delta.choice += index * choices
            return .output(delta)
        case .finished(let completion):
            total.add(completion)
            index += 1
            return index == prompts.count ? .finished(total) : nil
        }
    }
}

extension Completion {
    /// Puts another end behind this one; times add up, as tokens do.
    fileprivate mutating func add(_ other: Completion) {
        finishReasons += other.finishReasons
        stopTexts += other.stopTexts
        usage.promptTokens += other.usage.promptTokens
        usage.cachedTokens += other.usage.cachedTokens
        usage.outputTokens += other.usage.outputTokens
        usage.reasoningTokens += other.usage.reasoningTokens
        timings.queueSeconds += other.timings.queueSeconds
        timings.prefillSeconds += other.timings.prefillSeconds
        timings.decodeSeconds += other.timings.decodeSeconds
    }
}
