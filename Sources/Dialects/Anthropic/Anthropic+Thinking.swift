import Vocabulary

extension Anthropic {
    /// Whether the model thinks, how much, and the form of its answer.
    enum Thinking {
        /// `thinking` while it is read.
        struct Draft: FieldTarget {
            var warnings: Warnings
            var type: String?
            var budget: RequestDraft.Named<Int>?
            var isOmitted = false
        }

        /// `output_config` while it is read.
        struct OutputConfig: FieldTarget {
            var warnings: Warnings
            var effort: String?
            var format: RequestDraft.Named<ResponseFormat>?
        }

        static var fields: [FieldDescription] {
            thinkingTable.descriptions + outputTable.descriptions + formatTable.descriptions
        }

        static func decode(_ field: Field, draft: inout MessageDraft) throws(DialectError) {
            var thinking = Draft(warnings: draft.warnings)
            try thinkingTable.read(field, into: &thinking)
            draft.warnings = thinking.warnings
            guard let type = thinking.type else { throw .missingField(field.name + ".type") }
            if type == "enabled" {
                guard let budget = thinking.budget else { throw .missingField(field.name + ".budget_tokens") }
                draft.budget = budget
            }
            draft.base.thinking = [.init(field: field.name, value: type != "disabled")]
            draft.omitsThinking = thinking.isOmitted
        }

        static func outputConfig(_ field: Field, draft: inout MessageDraft) throws(DialectError) {
            var config = OutputConfig(warnings: draft.warnings)
            try outputTable.read(field, into: &config)
            draft.warnings = config.warnings
            draft.effort = config.effort
            if let format = config.format { draft.base.formats.append(format) }
        }

        static func format(
            _ field: Field, warnings: inout Warnings
        ) throws(DialectError) -> RequestDraft.Named<ResponseFormat> {
            var config = OutputConfig(warnings: warnings)
            try formatTable.read(field, into: &config)
            warnings = config.warnings
            _ = try field.required("type")
            guard let format = config.format else { throw .missingField(field.name + ".schema") }
            // Anthropic's structured outputs are always strict.
            try field.member("schema")?.checkSchema(strict: true, warnings: &warnings)
            return .init(field: field.name, value: format.value)
        }

        private static let thinkingTable = RuleTable<Draft>(
            place: "thinking",
            [
                Rule("type", .mapped, "enabled, adaptive (as enabled), disabled") {
                    (draft, field) throws(DialectError) in
                    draft.type = try field.word(["enabled", "adaptive", "disabled"])
                },
                Rule(
                    "budget_tokens", .honoured, "at least 1024, less than max_tokens; thinking ends when it is used up"
                ) {
                    (draft, field) throws(DialectError) in
                    let range = Int64(Limits.thinkingBudgetTokens)...Int64(Int32.max)
                    draft.budget = .init(field: field.name, value: Int(try field.integer(in: range)))
                },
                Rule("display", .honoured, "summarized: in full; omitted: blocks without their text") {
                    (draft, field) throws(DialectError) in
                    draft.isOmitted = try field.word(["summarized", "omitted"]) == "omitted"
                },
            ])

        private static let outputTable = RuleTable<OutputConfig>(
            place: "output_config",
            [
                Rule("effort", .mapped, "the template variable reasoning_effort, when thinking is on") {
                    (config, field) throws(DialectError) in
                    config.effort = try field.word(["low", "medium", "high", "xhigh", "max"])
                },
                Rule("format", .honoured, "json_schema") { (config, field) throws(DialectError) in
                    config.format = try format(field, warnings: &config.warnings)
                },
                .refused("task_budget", "bound the answer with 'max_tokens'"),
            ])

        private static let formatTable = RuleTable<OutputConfig>(
            place: "output_config.format",
            [
                Rule("type", .honoured, "json_schema") { (_, field) throws(DialectError) in
                    _ = try field.word(["json_schema"])
                },
                Rule("schema", .honoured, "an object of at most 256 KiB") { (config, field) throws(DialectError) in
                    config.format = .init(field: field.name, value: .jsonSchema(try field.schema()))
                },
            ])
    }
}
