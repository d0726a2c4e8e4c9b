package import Vocabulary

extension Responses {
    /// One event of a response's stream.
    package struct StreamEvent: Hashable, Sendable {
        /// Its type, `response.output_text.delta`.
        package var name: String
        /// The whole event, JSON.
        package var json: [UInt8]
    }

    /// Appends an event as a server-sent event.
    package static func append(_ event: StreamEvent, to bytes: inout [UInt8]) {
        ServerSentEvents.appendEvent(named: event.name, data: event.json, to: &bytes)
    }

    /// Appends the end of a stream, which Open Responses demands.
    package static func appendDone(to bytes: inout [UInt8]) { bytes.append(contentsOf: "data: [DONE]\n\n".utf8) }

    /// Turns the events of one request into a response object, and into the events that describe its making.
    ///
    /// Both come from the same state, so the stream and the body agree. Items come one after the other: reasoning,
    /// message, calls, as the model writes them. The end has two steps, because whether the response could be kept is
    /// part of it: `absorb` a terminal event (or `cancel`), keep `body()`, say whether that worked in `isStored`, then
    /// `conclude`.
    package struct Answer: Sendable {
        private let resource: Resource
        private var state: Resource.State
        private var items: [OutputItem] = []
        private var callCount = 0
        private var size = 0
        private var sequence = 0
        private var isAnnounced = false
        private var hasStarted = false
        private var isConcluded = false
        private let emits: Bool
        /// Why it failed; nil when it did not.
        package private(set) var failure: GenerationError?

        /// Starts an answer; `emits` says whether anybody wants the events. `created` is in seconds since 1970.
        package init(id: String, created: Int64, request: Request, emits: Bool) {
            let status: Status = request.runsInBackground ? .queued : .inProgress
            resource = Resource(id: id, created: created, request: request)
            state = Resource.State(status: status, isStored: request.isStored)
            self.emits = emits
        }

        /// Where the response stands.
        package var status: Status { state.status }

        /// Whether the response is kept, as its object says.
        package var isStored: Bool {
            get { state.isStored }
            set { state.isStored = newValue }
        }

        /// The response object as it stands.
        package func body() -> [UInt8] {
            var writer = JSONWriter(reserving: size + 2048)
            write(to: &writer)
            return writer.bytes
        }

        /// Announces a response that waits; the first events of one in the background.
        package mutating func announce(into events: inout [StreamEvent]) {
            guard !isAnnounced else { return }
            isAnnounced = true
            emitSnapshot("response.created", into: &events)
            if state.status == .queued { emitSnapshot("response.queued", into: &events) }
        }

        /// Takes an event in; `now` is in seconds since 1970. What comes after the end is ignored.
        package mutating func absorb(_ event: GenerationEvent, at now: Int64, into events: inout [StreamEvent]) {
            guard !state.status.isOver else { return }
            switch event {
            case .preparing, .queued: break
            case .started: start(into: &events)
            case .output(let delta):
                start(into: &events)
                absorb(delta, into: &events)
            case .finished(let completion): finish(completion, at: now, into: &events)
            case .failed(let error): fail(error)
            }
        }

        /// Ends the response because the client wants no more.
        package mutating func cancel(at now: Int64) {
            guard !state.status.isOver else { return }
            state.status = .cancelled
            state.completed = nil
            breakOff()
        }

        /// Appends the terminal event.
        package mutating func conclude(into events: inout [StreamEvent]) {
            precondition(state.status.isOver, "the response is \(state.status)")
            guard !isConcluded else { return }
            isConcluded = true
            announce(into: &events)
            if let failure { emitError(ErrorReport(failure, promptField: "input"), into: &events) }
            let name: String
            switch state.status {
            case .completed: name = "response.completed"
            case .failed: name = "response.failed"
            // The vendors' schemas have no event of its own for a cancelled response.
            case .incomplete, .cancelled, .queued, .inProgress: name = "response.incomplete"
            }
            emitSnapshot(name, into: &events)
        }

        // MARK: State

        private mutating func start(into events: inout [StreamEvent]) {
            announce(into: &events)
            guard !hasStarted else { return }
            hasStarted = true
            state.status = .inProgress
            emitSnapshot("response.in_progress", into: &events)
        }

        private mutating func absorb(_ delta: OutputDelta, into events: inout [StreamEvent]) {
            precondition(delta.choice == 0, "a response has one choice, not \(delta.choice + 1)")
            if !delta.reasoning.isEmpty {
                open(.reasoning, into: &events)
                grow(items.count - 1, by: delta.reasoning, [], into: &events)
            }
            let hasText = !delta.text.isEmpty
            // Log-probabilities belong to text; those of reasoning and calls have no place in a response.
            let isTail = delta.reasoning.isEmpty && delta.toolCalls.isEmpty && items.last?.kind == .message
            if hasText || (isTail && !delta.logprobs.isEmpty) {
                open(.message, into: &events)
                grow(items.count - 1, by: delta.text, delta.logprobs, into: &events)
            }
            for call in delta.toolCalls { absorb(call, into: &events) }
            if size > Limits.answerBytes, !state.status.isOver { fail(.answerTooLarge) }
        }

        private mutating func absorb(_ call: ToolCallDelta, into events: inout [StreamEvent]) {
            guard !state.status.isOver else { return }
            if call.index >= callCount {
                guard callCount < Limits.answerToolCalls else {
                    let limit = Limits.answerToolCalls
                    return fail(
                        .engineFailed(reason: "the model called more than \(limit) tools in one answer"))
                }
                callCount = call.index + 1
                let callID = call.id ?? "call_\(suffix(of: resource.id))_\(call.index)"
                let name = call.name ?? ""
                let function = resource.request.settings.namespaced[name] ?? FunctionName(name: name)
                open(.call(index: call.index, callID: callID, function: function), into: &events)
            }
            guard !call.arguments.isEmpty else { return }
            let position = items.lastIndex { item in
                if case .call(call.index, _, _) = item.kind { item.isOpen } else { false }
            }
            guard let position else {
                return fail(.engineFailed(reason: "a tool call grew after the next one had begun"))
            }
            grow(position, by: call.arguments, [], into: &events)
        }

        /// Makes sure that the last item is an open one of that kind.
        private mutating func open(_ kind: OutputItem.Kind, into events: inout [StreamEvent]) {
            if let last = items.last, last.isOpen {
                if last.kind == kind { return }
                close(items.count - 1, as: "completed", into: &events)
            }
            let prefix: String
            switch kind {
            case .message: prefix = "msg"
            case .reasoning: prefix = "rs"
            case .call: prefix = "fc"
            }
            var item = OutputItem(kind: kind, id: "\(prefix)_\(suffix(of: resource.id))_o\(items.count)")
            if kind == .reasoning, resource.request.settings.includesSealedReasoning { item.plain = [] }
            items.append(item)
            let index = items.count - 1
            emit("response.output_item.added", into: &events) { answer, writer in
                writer.key("output_index")
                writer.integer(index)
                writer.key("item")
                answer.items[index].write(isNew: true, to: &writer)
            }
            if case .call = kind { return }
            emitPart("response.content_part.added", of: index, isNew: true, into: &events)
        }

        private mutating func grow(
            _ index: Int, by text: String, _ logprobs: [TokenLogprob], into events: inout [StreamEvent]
        ) {
            let textStart = items[index].text.count
            let logprobStart = items[index].logprobs.count
            JSONWriter.appendEscaped(text, to: &items[index].text)
            items[index].plain?.append(contentsOf: text.utf8)
            var entries: [UInt8] = []
            OpenAI.Logprobs.appendEntries(logprobs, to: &entries)
            if !entries.isEmpty {
                if logprobStart > 0 { items[index].logprobs.append(UInt8(ascii: ",")) }
                items[index].logprobs += entries
            }
            let grown = items[index].text[textStart...]
            size += grown.count + items[index].logprobs.count - logprobStart
            let isCall = if case .call = items[index].kind { true } else { false }
            let isMessage = items[index].kind == .message
            emit(items[index].deltaType, into: &events) { answer, writer in
                answer.writePlace(index, hasContent: !isCall, to: &writer)
                writer.key("delta")
                writer.escapedString(Array(grown))
                if isMessage {
                    writer.key("logprobs")
                    writer.raw([UInt8(ascii: "[")] + entries + [UInt8(ascii: "]")])
                }
            }
        }

        private mutating func close(_ index: Int, as status: String, into events: inout [StreamEvent]) {
            items[index].status = status
            let item = items[index]
            switch item.kind {
            case .call:
                emit("response.function_call_arguments.done", into: &events) { answer, writer in
                    answer.writePlace(index, hasContent: false, to: &writer)
                    if case .call(_, _, let function) = item.kind {
                        writer.key("name")
                        writer.string(function.name)
                    }
                    writer.key("arguments")
                    writer.escapedString(item.text)
                }
            case .message, .reasoning:
                let name = item.kind == .message ? "response.output_text.done" : "response.reasoning_text.done"
                emit(name, into: &events) { answer, writer in
                    answer.writePlace(index, hasContent: true, to: &writer)
                    writer.key("text")
                    writer.escapedString(item.text)
                    guard item.kind == .message else { return }
                    writer.key("logprobs")
                    writer.raw([UInt8(ascii: "[")] + item.logprobs + [UInt8(ascii: "]")])
                }
                emitPart("response.content_part.done", of: index, isNew: false, into: &events)
            }
            emit("response.output_item.done", into: &events) { answer, writer in
                writer.key("output_index")
                writer.integer(index)
                writer.key("item")
                item.write(to: &writer)
            }
        }

        private mutating func finish(
            _ completion: Vocabulary.Completion, at now: Int64, into events: inout [StreamEvent]
        ) {
            start(into: &events)
            // Of a request that only warms up nothing is missing.
            let isCut = !resource.request.isWarmUp && completion.finishReason(of: 0) == .length
            // A complete answer has something to show, be it an empty text.
            if items.isEmpty, !isCut { open(.message, into: &events) }
            if let last = items.last, last.isOpen {
                close(items.count - 1, as: isCut ? "incomplete" : "completed", into: &events)
            }
            state.usage = completion.usage
            state.status = isCut ? .incomplete : .completed
            state.incompleteReason = isCut ? "max_output_tokens" : nil
            state.completed = isCut ? nil : now
        }

        private mutating func fail(_ error: GenerationError) {
            failure = error
            state.status = .failed
            let report = ErrorReport(error, promptField: "input")
            state.error = (errorCode(report), report.message)
            breakOff()
        }

        /// An item that is cut off stays in the object as incomplete; its end is told by the response's own.
        private mutating func breakOff() {
            if let last = items.last, last.isOpen { items[items.count - 1].status = "incomplete" }
        }

        // MARK: Events

        private func write(to writer: inout JSONWriter) {
            var output = JSONWriter(reserving: size + 256)
            output.beginArray()
            for item in items { item.write(to: &output) }
            output.endArray()
            resource.write(state, output: output.bytes, to: &writer)
        }

        private func writePlace(_ index: Int, hasContent: Bool, to writer: inout JSONWriter) {
            writer.key("item_id")
            writer.string(items[index].id)
            writer.key("output_index")
            writer.integer(index)
            guard hasContent else { return }
            writer.key("content_index")
            writer.integer(0)
        }

        /// Appends one event: its type and number, then what `body` writes.
        private mutating func emit(
            _ name: String, into events: inout [StreamEvent], body: (Answer, inout JSONWriter) -> Void
        ) {
            guard emits else { return }
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("type")
            writer.string(name)
            writer.key("sequence_number")
            writer.integer(sequence)
            body(self, &writer)
            writer.endObject()
            sequence += 1
            events.append(StreamEvent(name: name, json: writer.bytes))
        }

        private mutating func emitSnapshot(_ name: String, into events: inout [StreamEvent]) {
            emit(name, into: &events) { answer, writer in
                writer.key("response")
                answer.write(to: &writer)
            }
        }

        private mutating func emitPart(
            _ name: String, of index: Int, isNew: Bool, into events: inout [StreamEvent]
        ) {
            emit(name, into: &events) { answer, writer in
                answer.writePlace(index, hasContent: true, to: &writer)
                writer.key("part")
                answer.items[index].writePart(isNew: isNew, to: &writer)
            }
        }

        private mutating func emitError(_ report: ErrorReport, into events: inout [StreamEvent]) {
            emit("error", into: &events) { _, writer in writeError(report, to: &writer) }
        }
    }
}
