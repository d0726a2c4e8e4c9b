import Vocabulary

extension Responses {
    /// The functions offered and how the model may use them.
    enum ToolFields {
        static let rules: [FieldRule] = [
            FieldRule("tools", .honoured, "at most 512 functions; schemas of at most 256 KiB; hosted tools are refused")
            {
                (draft, field) throws(DialectError) in
                try tools(field, draft: &draft)
            },
            FieldRule("tool_choice", .honoured, "auto, none, required, a function, or allowed_tools") {
                (draft, field) throws(DialectError) in
                try choice(field, draft: &draft)
            },
            FieldRule("parallel_tool_calls", .honoured, "") { (draft, field) throws(DialectError) in
                draft.request.parallelToolCalls = try field.bool()
            },
        ]

        private static func tools(_ field: Field, draft: inout RequestDraft) throws(DialectError) {
            var names: Set<String> = []
            var writer = JSONWriter()
            writer.beginArray()
            for element in try field.elements(atMost: Limits.tools) {
                let tool = try tool(element, to: &writer, warnings: &draft.warnings)
                guard names.insert(tool.name).inserted else {
                    throw .invalidValue(
                        field: element.name + ".name", value: "'\(tool.name)'", expected: "a name used once")
                }
                draft.request.tools.append(tool)
            }
            writer.endArray()
            draft.responses.tools = writer.bytes
        }

        private static func tool(
            _ field: Field, to writer: inout JSONWriter, warnings: inout Warnings
        ) throws(DialectError) -> Tool {
            try field.requireObject()
            try requireFunction(field)
            var tool = Tool(
                name: try field.required("name").identifier(), summary: "",
                parameters: #"{"type":"object","properties":{}}"#, strict: true)
            var description: String?
            var parameters: String?
            for (key, member) in field.members {
                switch key {
                case "type", "name": break
                case "description": description = try member.string(atMost: Limits.descriptionBytes)
                case "parameters":
                    try member.requireObject()
                    parameters = try member.schema()
                case "strict": tool.strict = try member.bool()
                case "defer_loading", "async":
                    guard try !member.bool() else {
                        throw .unsupportedValue(field: member.name, value: "true", remedy: "leave it out")
                    }
                default: warnings.addUnknown("tools[].\(key)")
                }
            }
            let isStrict = try field.member("strict")?.bool() ?? false
            try field.member("parameters")?.checkSchema(strict: isStrict, warnings: &warnings)
            tool.summary = description ?? ""
            tool.parameters = parameters ?? tool.parameters
            writer.beginObject()
            writer.key("type")
            writer.string("function")
            writer.key("name")
            writer.string(tool.name)
            writer.key("description")
            writer.string(orNull: description)
            writer.key("parameters")
            if let parameters { writer.raw(parameters) } else { writer.null() }
            writer.key("strict")
            writer.bool(tool.strict)
            writer.endObject()
            return tool
        }

        /// The `type` of a tool or a choice; only functions run here, hosted tools are refused by their name.
        private static func requireFunction(_ field: Field) throws(DialectError) {
            let type = try field.required("type")
            let value = try type.string()
            guard value == "function" else {
                throw .unsupportedValue(
                    field: type.name, value: "'\(clipped(value))'",
                    remedy: "no hosted tools run here; offer it as a tool of type 'function'")
            }
        }

        private static func choice(_ field: Field, draft: inout RequestDraft) throws(DialectError) {
            if field.node.string != nil {
                let word = try field.word(["none", "auto", "required"])
                let choice: ToolChoice = word == "none" ? .none : word == "auto" ? .auto : .required
                draft.toolChoice = .init(field: field.name, value: choice)
                draft.responses.toolChoice = Array("\"\(word)\"".utf8)
                return
            }
            guard field.node.members != nil else { throw field.wrongType(expected: "a string or an object") }
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("type")
            if field.member("type")?.node.string == "allowed_tools" {
                writer.string("allowed_tools")
                try allowedTools(field, to: &writer, draft: &draft)
            } else {
                try requireFunction(field)
                let name = try field.required("name").identifier()
                draft.warnings.addUnknown(in: field.node, besides: ["type", "name"], place: field.name)
                draft.toolChoice = .init(field: field.name, value: .named(name))
                writer.string("function")
                writer.key("name")
                writer.string(name)
            }
            writer.endObject()
            draft.responses.toolChoice = writer.bytes
        }

        private static func allowedTools(
            _ field: Field, to writer: inout JSONWriter, draft: inout RequestDraft
        ) throws(DialectError) {
            let mode = try field.member("mode")?.word(["auto", "required"]) ?? "auto"
            let list = try field.required("tools")
            var names: [String] = []
            for element in try list.elements(atMost: Limits.tools) {
                try element.requireObject()
                try requireFunction(element)
                names.append(try element.required("name").identifier())
            }
            draft.warnings.addUnknown(in: field.node, besides: ["type", "mode", "tools"], place: field.name)
            draft.allowedTools = .init(field: list.name, value: names)
            draft.toolChoice = .init(field: field.name, value: mode == "auto" ? .auto : .required)
            writer.key("mode")
            writer.string(mode)
            writer.key("tools")
            writer.beginArray()
            for name in names {
                writer.beginObject()
                writer.key("type")
                writer.string("function")
                writer.key("name")
                writer.string(name)
                writer.endObject()
            }
            writer.endArray()
        }
    }
}
