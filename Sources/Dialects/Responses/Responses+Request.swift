package import Vocabulary

extension Responses {
    /// A request of `POST /v1/responses`.
    ///
    /// It is read in two steps, because what it continues lies in a store: `decode` reads the bytes, `settle` adds what
    /// was said before and makes the conversation.
    package struct Request: Sendable {
        /// What to generate; its prompt is empty until `settle`.
        package var generation: GenerationRequest
        /// Send the answer event by event.
        package let stream: Bool
        /// What was accepted but has no effect, a sentence each.
        package let warnings: [String]
        /// Whether the response is to be kept; false when the node keeps none.
        package var isStored: Bool
        let settings: Settings
        /// Whether nothing is to be generated.
        private(set) var isWarmUp = false
        private(set) var input: [Item]

        /// Reads a request body.
        ///
        /// Every known field is honoured, mapped, noted by a warning or refused by name; unknown fields are warned
        /// about. `null` means absent.
        /// **Throws:** `DialectError` naming field, limit and value.
        package static func decode(_ body: [UInt8], id: RequestID) throws(DialectError) -> Request {
            var draft = RequestDraft(id: id)
            try Fields.table.decode(body, into: &draft)
            let settings = draft.responses
            let decoded = try draft.finish(promptField: "input")
            if settings.runsInBackground, !settings.isStored {
                throw .conflict(field: "background", reason: "it needs 'store', because it is fetched later")
            }
            return Request(
                generation: decoded.request, stream: decoded.stream, warnings: decoded.warnings,
                isStored: settings.isStored, settings: settings, input: settings.input)
        }

        /// Every field and what becomes of it, by name; fields inside others after them.
        package static var fields: [FieldDescription] { Fields.table.descriptions + Fields.nested }

        /// Asks for no answer: the input is taken note of, to be continued.
        package mutating func generateNothing() {
            generation.maxOutputTokens = 0
            isWarmUp = true
        }

        /// The response it continues.
        package var previousID: String? { settings.previousID }

        /// Whether it runs on when the client leaves.
        package var runsInBackground: Bool { settings.runsInBackground }

        /// Whether the oldest turns may go when the conversation is longer than the window.
        package var truncates: Bool { settings.truncates }

        /// The responses whose items the input refers to, each once.
        ///
        /// **Throws:** `StateError.itemNotFound` for an identity that is none of ours.
        package func referencedResponses() throws(StateError) -> [String] {
            var ids: [String] = []
            for item in input where item.kind == .reference {
                guard let id = responseID(ofItem: item.id ?? "") else {
                    throw .itemNotFound(field: item.field + ".id", id: item.id ?? "")
                }
                if !ids.contains(id) { ids.append(id) }
            }
            return ids
        }

        /// Makes the conversation: instructions, what was said before, the input with its references resolved.
        ///
        /// `history` is the chain this request continues, oldest first; `referenced` holds the records of
        /// `referencedResponses`. Input items without an identity get one from `responseID`.
        /// **Throws:** `StateError.damagedRecord`, `itemNotFound`, or `invalid` for input that does not follow from
        /// what was said before.
        package mutating func settle(
            responseID: String, history: [Record], referenced: [Record]
        ) throws(StateError) {
            var earlier: [Item] = []
            for record in history { earlier += try record.items() }
            guard earlier.count + input.count <= Limits.messages else {
                throw .invalid(
                    .tooMany(field: "input", count: earlier.count + input.count, limit: Limits.messages))
            }
            try resolveReferences(referenced)
            let suffix = suffix(of: responseID)
            for index in input.indices where input[index].id == nil {
                input[index].id = "\(input[index].prefix)_\(suffix)_i\(index)"
            }
            guard !earlier.isEmpty || !input.isEmpty else {
                throw .invalid(.tooFew(field: "input", count: 0, minimum: 1))
            }
            generation.prompt = .chat(
                try Self.messages(of: earlier + input, instructions: settings.instructions))
        }

        /// Drops the oldest turns and asks again as `id`; false when nothing can be dropped.
        package mutating func shorten(excess: Int, of promptTokens: Int, id: RequestID) -> Bool {
            guard case .chat(let messages) = generation.prompt,
                let shorter = shortened(messages, excess: excess, of: promptTokens)
            else { return false }
            generation.prompt = .chat(shorter)
            generation.id = id
            return true
        }

        /// The request's own input items with their identities, a JSON array as the store keeps it.
        package var inputItems: [UInt8] {
            var writer = JSONWriter()
            writer.beginArray()
            for item in input { item.write(to: &writer) }
            writer.endArray()
            return writer.bytes
        }

        /// The conversation these items are, as a chat template renders it.
        static func messages(of items: [Item], instructions: String?) throws(StateError) -> [Message] {
            var conversation = Conversation(instructions: instructions)
            do {
                try conversation.add(items)
            } catch {
                throw .invalid(error)
            }
            return conversation.finish()
        }

        private mutating func resolveReferences(_ referenced: [Record]) throws(StateError) {
            guard input.contains(where: { $0.kind == .reference }) else { return }
            var known: [Item] = []
            for record in referenced { known += try record.items() }
            for index in input.indices where input[index].kind == .reference {
                let place = input[index].field
                guard let found = known.first(where: { $0.id == input[index].id }) else {
                    throw .itemNotFound(field: place + ".id", id: input[index].id ?? "")
                }
                input[index] = found
                input[index].field = place
            }
        }
    }
}
