import Vocabulary

extension OpenAI {
    /// The `response_format` field.
    enum ResponseFormats {
        static func decode(
            _ field: Field, warnings: inout Warnings
        ) throws(DialectError) -> RequestDraft.Named<ResponseFormat> {
            try field.requireObject()
            let format: ResponseFormat
            var known = ["type"]
            switch try field.required("type").word(["text", "json_object", "json_schema"]) {
            case "text": format = .text
            case "json_object":
                // llama.cpp and several hosts take a schema here; without one any object will do.
                known.append("schema")
                if let schema = field.member("schema") {
                    format = .jsonSchema(try schema.schema())
                    try schema.checkSchema(strict: false, warnings: &warnings)
                } else {
                    format = .jsonObject
                }
            default:
                known.append("json_schema")
                format = try schema(try field.required("json_schema"), warnings: &warnings)
            }
            for (key, member) in field.members where !known.contains(key) { warnings.addUnknown(member.name) }
            return .init(field: field.name, value: format)
        }

        private static func schema(_ field: Field, warnings: inout Warnings) throws(DialectError) -> ResponseFormat {
            try field.requireObject()
            var format = ResponseFormat.jsonObject
            for (key, member) in field.members {
                switch key {
                case "name": _ = try member.identifier()
                case "description": _ = try member.string(atMost: Limits.descriptionBytes)
                case "schema": format = .jsonSchema(try member.schema())
                case "strict":
                    if try !member.bool() {
                        warnings.add("'\(member.name)' has no effect: the schema is always enforced.")
                    }
                default: warnings.addUnknown(member.name)
                }
            }
            let isStrict = try field.member("strict")?.bool() ?? false
            try field.member("schema")?.checkSchema(strict: isStrict, warnings: &warnings)
            if field.member("name") == nil {
                warnings.add("'response_format.json_schema.name' is missing; OpenAI demands it.")
            }
            return format
        }
    }
}
