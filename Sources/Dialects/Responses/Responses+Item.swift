import Vocabulary

extension Responses {
    /// One item of a conversation, as requests carry it, the store keeps it and responses show it.
    struct Item: Hashable, Sendable {
        /// A piece of a message.
        struct Part: Hashable, Sendable {
            var text: String
            /// The model declined to answer (OpenAI's `refusal`).
            var isRefusal = false
            /// An image in place of a text.
            var image: MessageImage?
        }

        enum Kind: Hashable, Sendable {
            case message(role: Message.Role, parts: [Part])
            case functionCall(callID: String, function: FunctionName, arguments: String)
            /// `isText` tells a string from an array of parts.
            case functionOutput(callID: String, parts: [Part], isText: Bool)
            case reasoning(text: String, summary: [String])
            case compaction(summary: String)
            /// Stands for the kept item of this identity.
            case reference
        }

        var id: String?
        var kind: Kind
        var status = "completed"
        /// Where it stands in the request, for errors that are found later.
        var field = ""

        /// What an identity of such an item starts with.
        var prefix: String {
            switch kind {
            case .message: "msg"
            case .functionCall: "fc"
            case .functionOutput: "fco"
            case .reasoning: "rs"
            case .compaction: "cmp"
            case .reference: "ref"
            }
        }

        /// Images in the item.
        var imageCount: Int {
            switch kind {
            case .message(_, let parts), .functionOutput(_, let parts, _): parts.count { $0.image != nil }
            default: 0
            }
        }

        /// The text of parts, as a chat template sees it.
        static func text(_ parts: [Part]) -> String { content(parts).text }

        /// What of parts goes into a message.
        static func content(_ parts: [Part]) -> MessageContent {
            var content = MessageContent()
            for part in parts {
                if let image = part.image { content.add(image) } else { content.add(part.text) }
            }
            return content
        }
    }
}

// MARK: - Reading

extension Responses.Item {
    /// Types of items other servers know and this one refuses by name.
    private static let foreignTypes: Set<String> = [
        "additional_tools", "apply_patch_call", "apply_patch_call_output", "code_interpreter_call",
        "compaction_trigger", "computer_call", "computer_call_output", "configuration_update", "custom_tool_call",
        "custom_tool_call_output", "file_search_call", "image_generation_call", "local_shell_call",
        "local_shell_call_output", "mcp_approval_request", "mcp_approval_response", "mcp_call", "mcp_list_tools",
        "program", "program_output", "shell_call", "shell_call_output", "tool_search_call", "tool_search_output",
        "web_search_call",
    ]

    /// The types of items that are read.
    static let knownTypes = [
        "message", "function_call", "function_call_output", "reasoning", "compaction", "item_reference",
    ]

    /// Reads `input`: a text is one user message.
    static func decode(
        _ field: Field, atMost limit: Int, warnings: inout Warnings
    ) throws(DialectError) -> [Responses.Item] {
        if let text = field.node.string {
            return [Responses.Item(kind: .message(role: .user, parts: [Part(text: text)]), field: field.name)]
        }
        guard field.node.array != nil else { throw field.wrongType(expected: "a string or an array of items") }
        var items: [Responses.Item] = []
        for element in try field.elements(atMost: limit) {
            var item = try decode(one: element, warnings: &warnings)
            item.id = try element.member("id")?.string(atMost: Limits.toolCallIDBytes)
            item.field = element.name
            if let status = element.member("status") {
                item.status = try status.word(["in_progress", "completed", "incomplete"])
            }
            items.append(item)
        }
        let count = items.reduce(0) { $0 + $1.imageCount }
        guard count <= Limits.images else {
            throw .invalidValue(
                field: field.name, value: "\(count) images", expected: "at most \(Limits.images) in one request")
        }
        return items
    }

    private static func decode(one field: Field, warnings: inout Warnings) throws(DialectError) -> Responses.Item {
        try field.requireObject()
        guard let type = field.member("type") else {
            // The two shapes whose type may be left out.
            if field.member("role") != nil { return try message(field, warnings: &warnings) }
            if field.member("id") != nil { return Responses.Item(kind: .reference) }
            throw .missingField(field.name + ".type")
        }
        let name = try type.string()
        switch name {
        case "message": return try message(field, warnings: &warnings)
        case "function_call": return try functionCall(field, warnings: &warnings)
        case "function_call_output": return try functionOutput(field, warnings: &warnings)
        case "reasoning": return try reasoning(field, warnings: &warnings)
        case "compaction", "compaction_summary": return try compaction(field)
        case "item_reference":
            _ = try field.required("id")
            return Responses.Item(kind: .reference)
        case _ where foreignTypes.contains(name):
            throw .unsupportedValue(
                field: type.name, value: "'\(name)'",
                remedy: "only \(knownTypes.joined(separator: ", ")) items are read")
        default:
            throw .invalidValue(
                field: type.name, value: "'\(clipped(name))'",
                expected: "one of: " + knownTypes.map { "'\($0)'" }.joined(separator: ", "))
        }
    }

    private static func message(_ field: Field, warnings: inout Warnings) throws(DialectError) -> Responses.Item {
        let role: Message.Role
        switch try field.required("role").word(["user", "assistant", "system", "developer"]) {
        case "user": role = .user
        case "assistant": role = .assistant
        case "system": role = .system
        default: role = .developer
        }
        let parts = try parts(try field.required("content"), role: role, warnings: &warnings)
        if let phase = field.member("phase") { _ = try phase.word(["commentary", "final_answer"]) }
        let known = ["type", "role", "content", "id", "status", "phase"]
        warnings.addUnknown(in: field.node, besides: known, place: "input[]")
        return Responses.Item(kind: .message(role: role, parts: parts))
    }

    private static func parts(
        _ content: Field, role: Message.Role, warnings: inout Warnings
    ) throws(DialectError) -> [Part] {
        if let text = content.node.string { return [Part(text: text)] }
        guard content.node.array != nil else { throw content.wrongType(expected: "a string or an array of parts") }
        var parts: [Part] = []
        for element in try content.elements(atMost: Limits.contentParts) {
            try element.requireObject()
            let type = try element.required("type")
            let kind = try type.string()
            var known = ["type", "text"]
            switch kind {
            case "input_text", "text": parts.append(Part(text: try element.required("text").string()))
            case "output_text" where role == .assistant:
                parts.append(Part(text: try element.required("text").string()))
                known += ["annotations", "logprobs"]
            case "refusal" where role == .assistant:
                parts.append(Part(text: try element.required("refusal").string(), isRefusal: true))
                known = ["type", "refusal"]
            case "input_image" where role == .user || role == .tool:
                parts.append(Part(text: "", image: try image(element, warnings: &warnings)))
                known = ["type", "image_url", "detail", "file_id"]
            case "input_image":
                throw .unsupportedValue(
                    field: type.name, value: "'input_image' in a message of \(role.rawValue)",
                    remedy: "put images into messages of the user")
            case "input_file", "input_audio", "input_video", "image_url", "computer_screenshot":
                throw .unsupportedValue(
                    field: type.name, value: "'\(kind)'", remedy: "this server reads parts of text and images only")
            default:
                let expected =
                    role == .assistant ? "one of: 'output_text', 'refusal'" : "one of: 'input_text', 'input_image'"
                throw .invalidValue(field: type.name, value: "'\(clipped(kind))'", expected: expected)
            }
            warnings.addUnknown(in: element.node, besides: known, place: "input[].content[]")
        }
        return parts
    }

    private static func image(_ part: Field, warnings: inout Warnings) throws(DialectError) -> MessageImage {
        if let file = part.member("file_id") {
            throw .unsupportedField(
                field: file.name, remedy: "this server keeps no files; send image_url as a data URL")
        }
        if let detail = part.member("detail"), try detail.word(["auto", "low", "high", "original"]) != "auto" {
            warnings.add("'input_image.detail' has no effect: the model's projector decides how finely it looks.")
        }
        return try ImageField.dataURL(try part.required("image_url"))
    }

    private static func functionCall(_ field: Field, warnings: inout Warnings) throws(DialectError) -> Responses.Item {
        let arguments = try field.required("arguments")
        let known = ["type", "id", "status", "call_id", "name", "namespace", "arguments", "created_by"]
        warnings.addUnknown(in: field.node, besides: known, place: "input[]")
        let callID = try field.required("call_id").string(atMost: Limits.toolCallIDBytes)
        var function = Responses.FunctionName(name: try field.required("name").string(atMost: Limits.labelBytes))
        function.namespace = try field.member("namespace")?.string(atMost: Limits.labelBytes)
        return Responses.Item(
            kind: .functionCall(callID: callID, function: function, arguments: try arguments.string()))
    }

    private static func functionOutput(
        _ field: Field, warnings: inout Warnings
    ) throws(DialectError) -> Responses.Item {
        let output = try field.required("output")
        let known = ["type", "id", "status", "call_id", "name", "output", "created_by"]
        warnings.addUnknown(in: field.node, besides: known, place: "input[]")
        return Responses.Item(
            kind: .functionOutput(
                callID: try field.required("call_id").string(atMost: Limits.toolCallIDBytes),
                parts: try parts(output, role: .tool, warnings: &warnings), isText: output.node.string != nil))
    }

    /// The text is the item's content; without one, what `encrypted_content` or the summary says.
    private static func reasoning(_ field: Field, warnings: inout Warnings) throws(DialectError) -> Responses.Item {
        let summary = try texts(field.member("summary"), types: ["summary_text"])
        var text = try texts(field.member("content"), types: ["reasoning_text", "text"]).joined()
        if let sealed = try field.member("encrypted_content")?.string(), text.isEmpty {
            if let opened = Responses.OpaqueText.open(sealed) {
                text = opened
            } else {
                warnings.add("'input[].encrypted_content' of another server has no effect.")
            }
        }
        let known = ["type", "id", "status", "summary", "content", "encrypted_content"]
        warnings.addUnknown(in: field.node, besides: known, place: "input[]")
        return Responses.Item(kind: .reasoning(text: text, summary: summary))
    }

    private static func texts(_ field: Field?, types: [String]) throws(DialectError) -> [String] {
        guard let field else { return [] }
        var texts: [String] = []
        for element in try field.elements(atMost: Limits.contentParts) {
            try element.requireObject()
            _ = try element.required("type").word(types)
            texts.append(try element.required("text").string())
        }
        return texts
    }

    private static func compaction(_ field: Field) throws(DialectError) -> Responses.Item {
        let sealed = try field.required("encrypted_content")
        guard let summary = Responses.OpaqueText.open(try sealed.string()) else {
            throw .invalidValue(
                field: sealed.name, value: "of another server", expected: "what /v1/responses/compact returned here")
        }
        return Responses.Item(kind: .compaction(summary: summary))
    }
}

// MARK: - Writing

extension Responses.Item {
    /// Appends the item as the API shows it.
    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("id")
        writer.string(id ?? "")
        writer.key("type")
        switch kind {
        case .message(let role, let parts):
            writer.string("message")
            writeStatus(to: &writer)
            writer.key("role")
            writer.string(role.rawValue)
            writer.key("content")
            Self.write(parts, isOutput: role == .assistant, to: &writer)
        case .functionCall(let callID, let function, let arguments):
            writer.string("function_call")
            writeStatus(to: &writer)
            writer.key("call_id")
            writer.string(callID)
            function.write(to: &writer)
            writer.key("arguments")
            writer.string(arguments)
        case .functionOutput(let callID, let parts, let isText):
            writer.string("function_call_output")
            writeStatus(to: &writer)
            writer.key("call_id")
            writer.string(callID)
            writer.key("output")
            if isText { writer.string(Self.text(parts)) } else { Self.write(parts, isOutput: false, to: &writer) }
        case .reasoning(let text, let summary):
            writer.string("reasoning")
            writeStatus(to: &writer)
            writer.key("summary")
            Self.write(summary, type: "summary_text", to: &writer)
            writer.key("content")
            Self.write(text.isEmpty ? [] : [text], type: "reasoning_text", to: &writer)
        case .compaction(let summary):
            writer.string("compaction")
            writer.key("encrypted_content")
            writer.string(Responses.OpaqueText.seal(Array(summary.utf8)))
        case .reference: writer.string("item_reference")
        }
        writer.endObject()
    }

    private func writeStatus(to writer: inout JSONWriter) {
        writer.key("status")
        writer.string(status)
    }

    private static func write(_ texts: [String], type: String, to writer: inout JSONWriter) {
        writer.beginArray()
        for text in texts {
            writer.beginObject()
            writer.key("type")
            writer.string(type)
            writer.key("text")
            writer.string(text)
            writer.endObject()
        }
        writer.endArray()
    }

    private static func write(_ parts: [Part], isOutput: Bool, to writer: inout JSONWriter) {
        writer.beginArray()
        for part in parts {
            writer.beginObject()
            if let image = part.image {
                writer.key("type")
                writer.string("input_image")
                writer.key("detail")
                writer.string("auto")
                writer.key("image_url")
                writer.string("data:\(ImageField.mediaType(of: image.base64));base64,\(image.base64)")
                writer.endObject()
                continue
            }
            writer.key("type")
            writer.string(part.isRefusal ? "refusal" : isOutput ? "output_text" : "input_text")
            writer.key(part.isRefusal ? "refusal" : "text")
            writer.string(part.text)
            if isOutput, !part.isRefusal {
                writer.key("annotations")
                writer.raw("[]")
                writer.key("logprobs")
                writer.raw("[]")
            }
            writer.endObject()
        }
        writer.endArray()
    }
}
