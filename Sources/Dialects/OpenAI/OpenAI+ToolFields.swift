import Vocabulary

extension OpenAI {
    /// The tools offered and how the model may use them.
    enum ToolFields {
        static let rules: [FieldRule] = [
            FieldRule("tools", .honoured, "at most 512 functions; schemas of at most 256 KiB") {
                (draft, field) throws(DialectError) in
                draft.request.tools = try tools(field, warnings: &draft.warnings)
            },
            FieldRule("tool_choice", .honoured, "auto, none, required, a function, or allowed_tools") {
                (draft, field) throws(DialectError) in
                try choice(field, draft: &draft)
            },
            FieldRule("parallel_tool_calls", .honoured, "") { (draft, field) throws(DialectError) in
                draft.request.parallelToolCalls = try field.bool()
            },
            .only(true, "parse_tool_calls", "tool calls are always parsed"),
            .refused("functions", "use 'tools'"),
            .refused("function_call", "use 'tool_choice'"),
        ]

        static func tools(_ field: Field, warnings: inout Warnings) throws(DialectError) -> [Tool] {
            var tools: [Tool] = []
            var names: Set<String> = []
            for element in try field.elements(atMost: Limits.tools) {
                let tool = try tool(element, warnings: &warnings)
                guard names.insert(tool.name).inserted else {
                    throw .invalidValue(
                        field: element.name + ".function.name", value: "'\(tool.name)'", expected: "a name used once")
                }
                tools.append(tool)
            }
            try field.requireBoundedSchemas()
            return tools
        }

        private static func tool(_ field: Field, warnings: inout Warnings) throws(DialectError) -> Tool {
            try field.requireObject()
            try requireFunction(field)
            let function = try field.required("function")
            try function.requireObject()
            var tool = Tool(
                name: try function.required("name").identifier(), summary: "",
                parameters: #"{"type":"object","properties":{}}"#)
            for (key, member) in function.members {
                switch key {
                case "name": break
                case "description": tool.summary = try member.string(atMost: Limits.descriptionBytes)
                case "parameters":
                    try member.requireObject()
                    tool.parameters = try member.schema()
                case "strict": tool.strict = try member.bool()
                default: warnings.addUnknown("tools[].function.\(key)")
                }
            }
            try function.member("parameters")?.checkSchema(strict: tool.strict, warnings: &warnings)
            warnings.addUnknown(in: field.node, besides: ["type", "function"], place: "tools[]")
            return tool
        }

        /// The `type` of a tool, a call or a choice; only functions exist here.
        static func requireFunction(_ field: Field) throws(DialectError) {
            let type = try field.required("type")
            let value = try type.string()
            guard value == "function" else {
                throw .unsupportedValue(
                    field: type.name, value: "'\(clipped(value))'", remedy: "only tools of type 'function' are known")
            }
        }

        private static func choice(_ field: Field, draft: inout RequestDraft) throws(DialectError) {
            if field.node.string != nil {
                let choice: ToolChoice
                switch try field.word(["none", "auto", "required"]) {
                case "none": choice = .none
                case "auto": choice = .auto
                default: choice = .required
                }
                draft.toolChoice = .init(field: field.name, value: choice)
                return
            }
            guard field.node.members != nil else { throw field.wrongType(expected: "a string or an object") }
            if field.member("type")?.node.string == "allowed_tools" {
                try allowedTools(try field.required("allowed_tools"), choiceField: field.name, draft: &draft)
                return
            }
            try requireFunction(field)
            let function = try field.required("function")
            try function.requireObject()
            let name = try function.required("name").identifier()
            draft.warnings.addUnknown(in: field.node, besides: ["type", "function"], place: field.name)
            draft.warnings.addUnknown(in: function.node, besides: ["name"], place: function.name)
            draft.toolChoice = .init(field: field.name, value: .named(name))
        }

        private static func allowedTools(
            _ field: Field, choiceField: String, draft: inout RequestDraft
        ) throws(DialectError) {
            try field.requireObject()
            let mode = try field.required("mode").word(["auto", "required"])
            let list = try field.required("tools")
            var names: [String] = []
            for element in try list.elements(atMost: Limits.tools) {
                try element.requireObject()
                try requireFunction(element)
                let function = try element.required("function")
                try function.requireObject()
                names.append(try function.required("name").identifier())
            }
            draft.allowedTools = .init(field: list.name, value: names)
            draft.toolChoice = .init(field: choiceField, value: mode == "auto" ? .auto : .required)
        }
    }
}
