import Vocabulary

extension Responses {
    /// Writes the response object; every member the vendors' schemas demand is always there.
    struct Resource: Sendable {
        let id: String
        let created: Int64
        let request: Request
        /// `tools`, `instructions` and all else that does not change while the answer is made, JSON members.
        private let constant: [UInt8]

        init(id: String, created: Int64, request: Request) {
            self.id = id
            self.created = created
            self.request = request
            var writer = JSONWriter(reserving: 1024 + request.settings.tools.count)
            writer.beginObject()
            Self.writeRequest(request, to: &writer)
            writer.endObject()
            constant = Array(writer.bytes.dropFirst().dropLast())
        }

        /// What changes while the answer is made.
        struct State: Sendable {
            var status: Status
            var completed: Int64?
            var incompleteReason: String?
            /// Code and sentence of the failure.
            var error: (code: String, message: String)?
            var usage: Usage?
            var isStored: Bool
        }

        /// Appends the object; `output` is a JSON array.
        func write(_ state: State, output: [UInt8], to writer: inout JSONWriter) {
            writer.beginObject()
            writer.key("id")
            writer.string(id)
            writer.key("object")
            writer.string("response")
            writer.key("created_at")
            writer.integer(created)
            writer.key("completed_at")
            if let completed = state.completed { writer.integer(completed) } else { writer.null() }
            writer.key("status")
            writer.string(state.status.rawValue)
            writer.key("incomplete_details")
            if let reason = state.incompleteReason {
                writer.beginObject()
                writer.key("reason")
                writer.string(reason)
                writer.endObject()
            } else {
                writer.null()
            }
            writer.key("error")
            if let error = state.error {
                Responses.writeError(code: error.code, message: error.message, to: &writer)
            } else {
                writer.null()
            }
            writer.key("output")
            writer.raw(output)
            writer.key("usage")
            if let usage = state.usage { Responses.write(usage, to: &writer) } else { writer.null() }
            writer.key("store")
            writer.bool(state.isStored)
            writer.raw(constant)
            writer.endObject()
        }

        private static func writeRequest(_ request: Request, to writer: inout JSONWriter) {
            let generation = request.generation
            let settings = request.settings
            for (key, text) in [
                ("model", generation.model), ("instructions", settings.instructions),
                ("previous_response_id", settings.previousID), ("user", settings.user),
                ("safety_identifier", settings.safetyIdentifier), ("prompt_cache_key", settings.promptCacheKey),
                ("service_tier", "default"), ("truncation", settings.truncates ? "auto" : "disabled"),
            ] {
                writer.key(key)
                writer.string(orNull: text)
            }
            for (key, json) in [
                ("tools", settings.tools), ("tool_choice", settings.toolChoice),
                ("temperature", number(generation.sampling.temperature)), ("top_p", number(generation.sampling.topP)),
                ("presence_penalty", number(generation.sampling.presencePenalty)),
                ("frequency_penalty", number(generation.sampling.frequencyPenalty)),
            ] {
                writer.key(key)
                writer.raw(json)
            }
            for (key, value) in [
                ("max_output_tokens", generation.maxOutputTokens.map { Int64($0) }),
                ("max_tool_calls", settings.maxToolCalls), ("top_logprobs", Int64(generation.topLogprobs ?? 0)),
            ] {
                writer.key(key)
                if let value { writer.integer(value) } else { writer.null() }
            }
            writer.key("parallel_tool_calls")
            writer.bool(generation.parallelToolCalls)
            writer.key("background")
            writer.bool(settings.runsInBackground)
            writeObjects(settings, to: &writer)
        }

        private static func writeObjects(_ settings: Settings, to writer: inout JSONWriter) {
            writer.key("text")
            writer.beginObject()
            writer.key("format")
            writer.raw(settings.format)
            writer.key("verbosity")
            writer.string(settings.verbosity ?? "medium")
            writer.endObject()
            writer.key("reasoning")
            writer.beginObject()
            writer.key("effort")
            writer.string(orNull: settings.effort)
            writer.key("summary")
            writer.string(orNull: settings.summary)
            writer.endObject()
            writer.key("metadata")
            writer.beginObject()
            for (key, value) in settings.metadata {
                writer.key(key)
                writer.string(value)
            }
            writer.endObject()
        }

        /// The number as the client wrote it: the shortest one that reads back as the same 32 bits.
        private static func number(_ value: Float) -> [UInt8] { Array(value.description.utf8) }
    }

    /// Appends `{"code":…,"message":…}`.
    static func writeError(code: String, message: String, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("code")
        writer.string(code)
        writer.key("message")
        writer.string(message)
        writer.endObject()
    }

    /// Appends the token counts.
    static func write(_ usage: Usage, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("input_tokens")
        writer.integer(usage.promptTokens)
        writer.key("input_tokens_details")
        writer.beginObject()
        writer.key("cached_tokens")
        writer.integer(usage.cachedTokens)
        // OpenAI bills what it writes to its cache; here that costs nothing and is not counted.
        writer.key("cache_write_tokens")
        writer.integer(0)
        writer.endObject()
        writer.key("output_tokens")
        writer.integer(usage.outputTokens)
        writer.key("output_tokens_details")
        writer.beginObject()
        writer.key("reasoning_tokens")
        writer.integer(usage.reasoningTokens)
        writer.endObject()
        writer.key("total_tokens")
        writer.integer(usage.promptTokens + usage.outputTokens)
        writer.endObject()
    }

    /// OpenAI's word for why a response failed; its schema knows these few.
    static func errorCode(_ report: ErrorReport) -> String {
        switch report.kind {
        case .rateLimit: "rate_limit_exceeded"
        case .invalidRequest, .notFound, .tooLarge: "invalid_prompt"
        case .authentication, .permission, .unavailable, .timeout, .cancelled, .server: "server_error"
        }
    }
}
