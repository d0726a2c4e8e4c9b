import Vocabulary

extension Responses {
    /// The functions offered and how the model may use them.
    enum ToolFields {
        static let rules: [FieldRule] = [
            FieldRule(
                "tools", .honoured,
                "at most 512 functions, also in namespaces; schemas of at most 256 KiB; others are dropped"
            ) { (draft, field) throws(DialectError) in
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
            var writer = JSONWriter()
            writer.beginArray()
            for element in try field.elements(atMost: Limits.tools) {
                switch try typeName(element) {
                case "function": try add(element, to: &writer, draft: &draft)
                case "namespace": try namespace(element, to: &writer, draft: &draft)
                case let type: drop(type, warnings: &draft.warnings)
                }
            }
            try field.requireBoundedSchemas()
            writer.endArray()
            draft.responses.tools = writer.bytes
        }

        private static func typeName(_ field: Field) throws(DialectError) -> String {
            try field.requireObject()
            return try field.required("type").string()
        }

        /// Agents declare all they have, whatever the server can run, and go on without what the model never calls. So
        /// a declaration is passed over; a `tool_choice` that names one is refused, because no answer could keep to it.
        private static func drop(_ type: String, warnings: inout Warnings) {
            warnings.add("'tools' of type '\(clipped(type))' have no effect: only functions are offered to the model.")
        }

        /// Functions of a common name, which their calls carry beside their own.
        private static func namespace(
            _ field: Field, to writer: inout JSONWriter, draft: inout RequestDraft
        ) throws(DialectError) {
            let name = try field.required("name").identifier()
            let description = try field.member("description")?.string(atMost: Limits.descriptionBytes) ?? ""
            if !description.isEmpty {
                draft.warnings.add("'tools[].description' of a namespace has no effect; describe its functions.")
            }
            draft.warnings.addUnknown(
                in: field.node, besides: ["type", "name", "description", "tools"], place: "tools[]")
            let count = draft.request.tools.count
            var functions = JSONWriter()
            functions.beginArray()
            for element in try field.required("tools").elements(atMost: Limits.tools) {
                let type = try typeName(element)
                guard type == "function" else {
                    drop(type, warnings: &draft.warnings)
                    continue
                }
                try add(element, in: name, to: &functions, draft: &draft)
            }
            functions.endArray()
            guard draft.request.tools.count > count else { return }
            writer.beginObject()
            for (key, value) in [("type", "namespace"), ("name", name), ("description", description)] {
                writer.key(key)
                writer.string(value)
            }
            writer.key("tools")
            writer.raw(functions.bytes)
            writer.endObject()
        }

        /// Takes a function in.
        private static func add(
            _ field: Field, in namespace: String? = nil, to writer: inout JSONWriter, draft: inout RequestDraft
        ) throws(DialectError) {
            let count = draft.request.tools.count + 1
            guard count <= Limits.tools else { throw .tooMany(field: "tools", count: count, limit: Limits.tools) }
            let function = FunctionName(name: try field.required("name").identifier(), namespace: namespace)
            guard !draft.request.tools.contains(where: { $0.name == function.offered }) else {
                throw .invalidValue(
                    field: field.name + ".name", value: "'\(function.offered)'", expected: "a name used once")
            }
            let tool = try tool(field, function, to: &writer, warnings: &draft.warnings)
            draft.request.tools.append(tool)
            if namespace != nil { draft.responses.namespaced[function.offered] = function }
        }

        private static func tool(
            _ field: Field, _ function: FunctionName, to writer: inout JSONWriter, warnings: inout Warnings
        ) throws(DialectError) -> Tool {
            var tool = Tool(
                name: function.offered, summary: "", parameters: #"{"type":"object","properties":{}}"#, strict: true)
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
            writer.string(function.name)
            writer.key("description")
            writer.string(orNull: description)
            writer.key("parameters")
            if let parameters { writer.raw(parameters) } else { writer.null() }
            writer.key("strict")
            writer.bool(tool.strict)
            writer.endObject()
            return tool
        }

        /// The `type` of a choice; only functions run here, hosted tools are refused by their name.
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
