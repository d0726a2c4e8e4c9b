package import Vocabulary

extension Responses {
    /// A request of `POST /v1/responses/compact`: the model writes a summary that stands for the conversation.
    ///
    /// The answer is every user message as it was, followed by one compaction item that holds the summary. A later
    /// request whose input is that list goes on where the conversation was.
    package struct Compaction: Sendable {
        /// What to generate; its prompt is empty until `settle`.
        package var generation: GenerationRequest
        /// The response whose conversation is compacted.
        package let previousID: String?
        /// What was accepted but has no effect, as the value of a response header.
        package let warningHeader: String?
        private let settings: Settings
        private var userItems: [Item] = []

        private static let task =
            "Write a summary of this conversation that lets you continue it without seeing it. Keep what the user "
            + "wants, facts, names, numbers, decisions and open tasks. Answer with the summary only."

        /// Reads a request body.
        ///
        /// **Throws:** `DialectError` naming field, limit and value.
        package static func decode(_ body: [UInt8], id: RequestID) throws(DialectError) -> Compaction {
            var draft = RequestDraft(id: id)
            try table.decode(body, into: &draft)
            let settings = draft.responses
            for item in settings.input where item.kind == .reference {
                throw .unsupportedValue(field: item.field, value: "a reference", remedy: "send the item itself")
            }
            let decoded = try draft.finish(promptField: "input")
            return Compaction(
                generation: decoded.request, previousID: settings.previousID, warningHeader: decoded.warningHeader,
                settings: settings)
        }

        /// Every field and what becomes of it, by name.
        package static var fields: [FieldDescription] { table.descriptions }

        private static let table = FieldTable(
            Fields.table.rules.filter {
                [
                    "model", "input", "previous_response_id", "instructions", "prompt_cache_key",
                    "prompt_cache_options", "prompt_cache_retention", "service_tier", "image",
                ].contains($0.description.name)
            })

        /// Makes the conversation; `history` is the chain that is compacted, oldest first.
        ///
        /// **Throws:** `StateError.damagedRecord`, or `invalid`.
        package mutating func settle(responseID: String, history: [Record]) throws(StateError) {
            var items: [Item] = []
            for record in history { items += try record.items() }
            items += settings.input
            guard !items.isEmpty else { throw .invalid(.tooFew(field: "input", count: 0, minimum: 1)) }
            var messages = try Request.messages(of: items, instructions: settings.instructions)
            messages.append(Message(role: .user, text: Self.task))
            generation.prompt = .chat(messages)
            // A summary of the thoughts about a summary helps nobody.
            generation.reasoning.enabled = false
            userItems = items.filter { if case .message(.user, _) = $0.kind { true } else { false } }
            let suffix = suffix(of: responseID)
            for index in userItems.indices where userItems[index].id == nil {
                userItems[index].id = "msg_\(suffix)_i\(index)"
            }
        }

        /// The response body; `created` is in seconds since 1970.
        package func body(id: String, created: Int64, summary: String, usage: Usage) -> [UInt8] {
            var writer = JSONWriter(reserving: 1024 + summary.utf8.count * 2)
            writer.beginObject()
            writer.key("id")
            writer.string(id)
            writer.key("object")
            writer.string("response.compaction")
            writer.key("created_at")
            writer.integer(created)
            writer.key("output")
            writer.beginArray()
            for item in userItems { item.write(to: &writer) }
            Item(id: "cmp_\(suffix(of: id))_o0", kind: .compaction(summary: summary)).write(to: &writer)
            writer.endArray()
            writer.key("usage")
            Responses.write(usage, to: &writer)
            writer.endObject()
            return writer.bytes
        }
    }
}
