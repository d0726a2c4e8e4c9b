import Vocabulary

extension Ollama {
    /// The objects of one answer: the pieces of a stream, or the whole.
    struct AnswerLines: Sendable {
        let route: Route
        let model: String
        let requestID: String

        /// A piece of the answer: text, thinking, calls, log-probabilities.
        struct Piece: Sendable {
            var text = ""
            var thinking = ""
            var calls: [ToolCall] = []
            /// Entries separated by commas, as JSON.
            var logprobs: [UInt8] = []
        }

        /// What a request waits for.
        enum Waiting: Sendable {
            case queued(Int)
            case preparing(String)
        }

        /// What a stream's last object, or the only one, has beyond its piece.
        struct Ending: Sendable {
            let reason: String
            /// Nil when nothing was generated.
            let completion: Completion?
            let elapsedNanoseconds: Int64
        }

        func append(
            _ piece: Piece, at timestamp: Timestamp, waiting: Waiting? = nil, ending: Ending? = nil,
            to bytes: inout [UInt8]
        ) {
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("model")
            writer.string(model)
            writer.key("created_at")
            writer.string(timestamp.description)
            write(piece, to: &writer)
            switch waiting {
            case .queued(let position):
                writer.key("queue_position")
                writer.integer(position)
            case .preparing(let text):
                writer.key("status")
                writer.string(text)
            case nil: break
            }
            writer.key("done")
            writer.bool(ending != nil)
            if let ending { write(ending, to: &writer) }
            writer.endObject()
            bytes.append(contentsOf: writer.bytes)
        }

        private func write(_ piece: Piece, to writer: inout JSONWriter) {
            switch route {
            case .generate:
                writer.key("response")
                writer.string(piece.text)
                writeThinking(piece, to: &writer)
            case .chat:
                writer.key("message")
                writer.beginObject()
                writer.key("role")
                writer.string("assistant")
                writer.key("content")
                writer.string(piece.text)
                writeThinking(piece, to: &writer)
                if !piece.calls.isEmpty { write(piece.calls, to: &writer) }
                writer.endObject()
            }
            guard !piece.logprobs.isEmpty else { return }
            writer.key("logprobs")
            writer.raw([UInt8(ascii: "[")] + piece.logprobs + [UInt8(ascii: "]")])
        }

        private func writeThinking(_ piece: Piece, to writer: inout JSONWriter) {
            guard !piece.thinking.isEmpty else { return }
            writer.key("thinking")
            writer.string(piece.thinking)
        }

        private func write(_ calls: [ToolCall], to writer: inout JSONWriter) {
            writer.key("tool_calls")
            writer.beginArray()
            for (index, call) in calls.enumerated() {
                writer.beginObject()
                writer.key("id")
                writer.string(call.id)
                writer.key("function")
                writer.beginObject()
                writer.key("index")
                writer.integer(index)
                writer.key("name")
                writer.string(call.name)
                writer.key("arguments")
                if let object = ToolArguments.object(call.arguments) { writer.node(object) }
                writer.endObject()
                writer.endObject()
            }
            writer.endArray()
        }

        private func write(_ ending: Ending, to writer: inout JSONWriter) {
            writer.key("done_reason")
            writer.string(ending.reason)
            guard let completion = ending.completion else { return }
            let timings = completion.timings
            for (name, value) in [
                ("total_duration", ending.elapsedNanoseconds),
                ("load_duration", Self.nanoseconds(timings.queueSeconds)),
                ("prompt_eval_count", Int64(completion.usage.promptTokens)),
                ("prompt_eval_duration", Self.nanoseconds(timings.prefillSeconds)),
                ("eval_count", Int64(completion.usage.outputTokens)),
                ("eval_duration", Self.nanoseconds(timings.decodeSeconds)),
            ] {
                writer.key(name)
                writer.integer(value)
            }
        }

        /// 0 for what no clock measures.
        private static func nanoseconds(_ seconds: Double) -> Int64 {
            seconds > 0 && seconds < 9e9 ? Int64(seconds * 1e9) : 0
        }

        static func reason(of completion: Completion) -> String {
            completion.finishReason(of: 0) == .length ? "length" : "stop"
        }
    }

    /// The calls of an answer while they grow. Ollama shows whole calls only, with their arguments as an object.
    struct GrowingCalls: Sendable {
        private var calls: [(index: Int, call: ToolCall)] = []
        private(set) var size = 0

        mutating func add(_ delta: ToolCallDelta, answer id: String) {
            size += delta.arguments.utf8.count
            if let place = calls.lastIndex(where: { $0.index == delta.index }) {
                calls[place].call.arguments += delta.arguments
            } else {
                let call = ToolCall(
                    id: delta.id ?? "call_\(id)_\(delta.index)", name: delta.name ?? "", arguments: delta.arguments)
                calls.append((delta.index, call))
            }
        }

        var count: Int { calls.count }

        /// The calls in order, and as text those whose arguments are no JSON object.
        func whole() -> (calls: [ToolCall], text: String) {
            var whole: [ToolCall] = []
            var text = ""
            for (_, call) in calls.sorted(by: { $0.index < $1.index }) {
                if ToolArguments.object(call.arguments) == nil {
                    text += "\(call.name)(\(call.arguments))"
                } else {
                    whole.append(call)
                }
            }
            return (whole, text)
        }
    }
}
