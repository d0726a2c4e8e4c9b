import Vocabulary

extension Responses {
    /// An item of an answer while it grows. Texts are kept escaped, as they stand in every object that shows them.
    struct OutputItem: Sendable {
        enum Kind: Sendable, Hashable {
            case message
            case reasoning
            /// `index` is the call's place among the answer's calls.
            case call(index: Int, callID: String, function: FunctionName)
        }

        let kind: Kind
        let id: String
        var status = "in_progress"
        /// The text, reasoning or arguments so far.
        var text: [UInt8] = []
        /// Entries of the text's log-probabilities.
        var logprobs: [UInt8] = []
        /// The reasoning unescaped, when the client wants it sealed.
        var plain: [UInt8]?

        var isOpen: Bool { status == "in_progress" }

        var deltaType: String {
            switch kind {
            case .message: "response.output_text.delta"
            case .reasoning: "response.reasoning_text.delta"
            case .call: "response.function_call_arguments.delta"
            }
        }

        /// Appends the item as it stands; an item just added shows no content.
        func write(isNew: Bool = false, to writer: inout JSONWriter) {
            writer.beginObject()
            writer.key("id")
            writer.string(id)
            writer.key("type")
            switch kind {
            case .message:
                writer.string("message")
                writeStatus(to: &writer)
                writer.key("role")
                writer.string("assistant")
                writeContent(isNew: isNew, to: &writer)
            case .reasoning:
                writer.string("reasoning")
                writeStatus(to: &writer)
                writer.key("summary")
                writer.raw("[]")
                writeContent(isNew: isNew, to: &writer)
                if let plain, !isNew {
                    writer.key("encrypted_content")
                    writer.string(OpaqueText.seal(plain))
                }
            case .call(_, let callID, let function):
                writer.string("function_call")
                writeStatus(to: &writer)
                writer.key("call_id")
                writer.string(callID)
                function.write(to: &writer)
                writer.key("arguments")
                writer.escapedString(isNew ? [] : text)
            }
            writer.endObject()
        }

        private func writeStatus(to writer: inout JSONWriter) {
            writer.key("status")
            writer.string(status)
        }

        private func writeContent(isNew: Bool, to writer: inout JSONWriter) {
            writer.key("content")
            writer.beginArray()
            if !isNew { writePart(to: &writer) }
            writer.endArray()
        }

        /// Appends the one part of the item's content; `isNew` shows it without text.
        func writePart(isNew: Bool = false, to writer: inout JSONWriter) {
            writer.beginObject()
            writer.key("type")
            writer.string(kind == .message ? "output_text" : "reasoning_text")
            writer.key("text")
            writer.escapedString(isNew ? [] : text)
            if kind == .message {
                writer.key("annotations")
                writer.raw("[]")
                writer.key("logprobs")
                writer.raw([UInt8(ascii: "[")] + (isNew ? [] : logprobs) + [UInt8(ascii: "]")])
            }
            writer.endObject()
        }
    }
}
