import Vocabulary

extension OpenAI {
    /// Whether and how long the model thinks, and the chat template's own variables.
    enum ReasoningFields {
        static let rules: [FieldRule] = [
            FieldRule(
                "reasoning_effort", .mapped, "none: no thinking; others: thinking, a template variable, and a budget"
            ) {
                (draft, field) throws(DialectError) in
                let effort = try field.word(["none", "minimal", "low", "medium", "high", "xhigh", "max"])
                draft.thinking.append(.init(field: field.name, value: effort != "none"))
                if effort != "none" { draft.reasoningEffort = effort }
            },
            FieldRule("enable_thinking", .honoured, "") { (draft, field) throws(DialectError) in
                draft.thinking.append(.init(field: field.name, value: try field.bool()))
            },
            budget("reasoning_budget_tokens", .honoured),
            budget("thinking_budget_tokens", .mapped),
            FieldRule("reasoning_format", .refused, "only auto and deepseek: reasoning comes in reasoning_content") {
                (draft, field) throws(DialectError) in
                let format = try field.string()
                guard format == "auto" || format == "deepseek" else {
                    throw .unsupportedValue(
                        field: "reasoning_format", value: "'\(clipped(format))'",
                        remedy: "leave it out; reasoning comes in reasoning_content")
                }
            },
            .noted("reasoning_control", "reasoning is bounded by reasoning_budget_tokens only"),
            FieldRule("chat_template_kwargs", .honoured, "at most 64 variables; enable_thinking is recognised") {
                (draft, field) throws(DialectError) in
                try templateArguments(field, draft: &draft)
            },
        ]

        private static func budget(_ name: String, _ disposition: FieldDisposition) -> FieldRule {
            FieldRule(name, disposition, "-1 … 2147483647; -1 is no bound") { (draft, field) throws(DialectError) in
                let budget = try field.integer(in: -1...Int64(Int32.max))
                draft.request.reasoning.budget = budget < 0 ? nil : Int(budget)
                draft.hasBudget = true
            }
        }

        private static func templateArguments(_ field: Field, draft: inout RequestDraft) throws(DialectError) {
            try field.requireObject()
            let members = field.members
            guard members.count <= Limits.templateArguments else {
                throw .tooMany(field: field.name, count: members.count, limit: Limits.templateArguments)
            }
            for (key, member) in members {
                if key == "enable_thinking" {
                    draft.thinking.append(.init(field: member.name, value: try member.bool()))
                    continue
                }
                let value = member.node.text
                guard value.utf8.count <= Limits.templateArgumentBytes else {
                    throw .tooLong(field: member.name, bytes: value.utf8.count, limit: Limits.templateArgumentBytes)
                }
                guard key.utf8.count <= Limits.nameBytes else {
                    throw .tooLong(field: member.name, bytes: key.utf8.count, limit: Limits.nameBytes)
                }
                draft.request.templateArguments.append(TemplateArgument(name: key, value: value))
            }
        }
    }
}
