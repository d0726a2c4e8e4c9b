package import Vocabulary

extension Ollama {
    /// A request to make a model: `POST /api/create`.
    package struct CreateRequest: Sendable {
        /// What it is made of.
        package enum Source: Hashable, Sendable {
            /// A model that is here, by the name the client knows it by.
            case model(String)
            /// An uploaded file, by its digest.
            case blob(String)
        }

        /// The new name, without `:latest`.
        package var name: String
        /// What it is made of.
        package var source: Source
        /// The template the client believes the model to have; nil says nothing.
        package var template: String?
        /// What stands in front of conversations; nil takes it from the source.
        package var system: String?
        /// Defaults beside those of the source.
        package var parameters: [ModelVariant.Parameter]
        /// Messages in front of conversations; nil takes those of the source.
        package var messages: [ModelVariant.Turn]?
        /// Licence; nil takes that of the source.
        package var license: String?
        /// Answer as a stream of lines.
        package var stream: Bool
        /// What was accepted but has no effect here, a sentence each.
        package var warnings: [String]

        /// Reads a request body; see `AnswerRequest.decode`.
        ///
        /// **Throws:** `DialectError` naming field, limit and value; for a Modelfile the number of its line.
        package static func decode(_ body: [UInt8]) throws(DialectError) -> CreateRequest {
            var draft = CreateDraft()
            try CreateDraft.table.decode(body, into: &draft)
            return try draft.finish()
        }

        /// Every field and what becomes of it, by name.
        package static var fields: [FieldDescription] {
            CreateDraft.table.descriptions + CreateDraft.messageTable.descriptions
        }
    }

    /// A request to make a model while its fields are read.
    struct CreateDraft: FieldTarget {
        var warnings = Warnings()
        var names: [RequestDraft.Named<String>] = []
        var from: RequestDraft.Named<String>?
        var file: RequestDraft.Named<String>?
        var modelfile: RequestDraft.Named<Modelfile>?
        var template: String?
        var system: String?
        var parameters: [ModelVariant.Parameter] = []
        var messages: [ModelVariant.Turn]?
        var license: String?
        var stream = true
        /// The first of the fields that a Modelfile says, too.
        var detail: String?

        /// A message while it is read.
        struct MessageDraft: FieldTarget {
            var warnings: Warnings
            var role: Message.Role?
            var text = ""
        }

        /// Judges the fields together.
        consuming func finish() throws(DialectError) -> CreateRequest {
            guard let first = names.first else { throw .missingField("model") }
            if let other = names.first(where: { $0.value != first.value }) {
                throw .conflict(field: other.field, reason: "it differs from '\(first.field)'; send only one of them")
            }
            let name = try ModelNames.checked(first.value, field: first.field)
            if let modelfile {
                if let detail { throw .conflict(field: detail, reason: "'modelfile' says it; send only one of them") }
                try take(modelfile.value, field: modelfile.field)
            }
            return CreateRequest(
                name: name, source: try source(), template: template, system: system, parameters: parameters,
                messages: messages, license: license, stream: stream, warnings: warnings.all)
        }

        private mutating func take(_ read: Modelfile, field: String) throws(DialectError) {
            guard let source = read.from else {
                throw .invalidValue(field: field, value: "text without FROM", expected: "a line 'FROM name'")
            }
            from = .init(field: field, value: source)
            let place = Field(node: read.options, path: .member(.body, field))
            parameters = try Parameters.decode(place, warnings: &warnings)
            (system, template) = (read.system, read.template)
            messages = read.messages.isEmpty ? nil : read.messages
            license = read.licenses.isEmpty ? nil : read.licenses.joined(separator: "\n")
            for text in read.messages.map(\.text) + [system ?? ""] where text.utf8.count > Limits.variantTextBytes {
                throw .tooLong(field: field, bytes: text.utf8.count, limit: Limits.variantTextBytes)
            }
            if let license, license.utf8.count > Limits.licenseBytes {
                throw .tooLong(field: field, bytes: license.utf8.count, limit: Limits.licenseBytes)
            }
        }

        private func source() throws(DialectError) -> CreateRequest.Source {
            if let file, let from {
                throw .conflict(field: file.field, reason: "it contradicts '\(from.field)'; send only one of them")
            }
            if let file { return .blob(try BlobDigest.read(file.value, field: file.field)) }
            guard let from else { throw .missingField("from or files") }
            if from.value.hasPrefix("@") {
                return .blob(try BlobDigest.read(String(from.value.dropFirst()), field: from.field))
            }
            // A path means a file of the client's machine; this one's files are not for clients to name.
            if let first = from.value.first, "/.~\\".contains(first) {
                throw .unsupportedValue(
                    field: from.field, value: "the path '\(clipped(from.value))'",
                    remedy: "upload the file to /api/blobs and name it in 'files'")
            }
            return .model(from.value)
        }
    }
}

extension Ollama.CreateDraft {
    static let table = RuleTable<Self>(names, source, content, refusals)

    private static let names: [Rule<Self>] = [
        ("model", .honoured, "1 … 3 parts and a tag; an empty one counts as absent"),
        ("name", .mapped, "older; an empty one counts as absent"),
    ]
    .map { (key: String, disposition: FieldDisposition, note: String) in
        Rule(key, disposition, note) { (draft, field) throws(DialectError) in
            guard let name = try field.filledString(atMost: Limits.modelBytes) else { return }
            draft.names.append(.init(field: field.name, value: name))
        }
    }

    private static let source: [Rule<Self>] = [
        Rule("from", .honoured, "a model that is here, or '@sha256:…' of an uploaded file; not with files") {
            (draft, field) throws(DialectError) in
            guard let text = try field.filledString(atMost: Limits.modelBytes) else { return }
            draft.from = .init(field: field.name, value: text)
            draft.detail = draft.detail ?? field.name
        },
        Rule("files", .honoured, "one GGUF file: its name → 'sha256:…' of what was uploaded to /api/blobs") {
            (draft, field) throws(DialectError) in
            try field.requireObject()
            let files = field.members
            guard files.count <= Limits.files else {
                throw .tooMany(field: field.name, count: files.count, limit: Limits.files)
            }
            guard let (key, member) = files.first else { return }
            guard key.utf8.count <= Limits.fileNameBytes else {
                throw .tooLong(field: field.name, bytes: key.utf8.count, limit: Limits.fileNameBytes)
            }
            guard files.count == 1 else {
                throw .unsupportedValue(
                    field: field.name, value: "\(files.count) files", remedy: "send one GGUF file that holds all")
            }
            draft.file = .init(field: member.name, value: try member.string(atMost: Limits.labelBytes))
            draft.detail = draft.detail ?? field.name
        },
        Rule("modelfile", .mapped, "FROM, PARAMETER, SYSTEM, TEMPLATE, MESSAGE, LICENSE; instead of those fields") {
            (draft, field) throws(DialectError) in
            guard let text = try field.filledString(atMost: Limits.modelfileBytes) else { return }
            draft.modelfile = .init(field: field.name, value: try Ollama.Modelfile.read(text, field: field.name))
        },
        Rule("stream", .honoured, "true by default") { (draft, field) throws(DialectError) in
            draft.stream = try field.bool()
        },
    ]

    private static let content: [Rule<Self>] = [
        Rule("system", .honoured, "at most 256 KiB; a system message of a request replaces it; empty is absent") {
            (draft, field) throws(DialectError) in
            guard let text = try field.filledString(atMost: Limits.variantTextBytes) else { return }
            draft.system = text
            draft.detail = draft.detail ?? field.name
        },
        Rule("template", .honoured, "only the model's own; empty is absent") { (draft, field) throws(DialectError) in
            guard let text = try field.filledString(atMost: Limits.templateBytes) else { return }
            draft.template = text
            draft.detail = draft.detail ?? field.name
        },
        Rule("parameters", .honoured, "options of /api/chat; a request's own values count") {
            (draft, field) throws(DialectError) in
            draft.parameters = try Ollama.Parameters.decode(field, warnings: &draft.warnings)
            draft.detail = draft.detail ?? field.name
        },
        Rule("messages", .honoured, "at most 256, in front of every conversation") {
            (draft, field) throws(DialectError) in
            var turns: [ModelVariant.Turn] = []
            for element in try field.elements(atMost: Limits.variantMessages) {
                var message = MessageDraft(warnings: draft.warnings)
                try messageTable.read(element, into: &message)
                draft.warnings = message.warnings
                guard let role = message.role else { throw .missingField(element.name + ".role") }
                turns.append(ModelVariant.Turn(role: role, text: message.text))
            }
            draft.messages = turns
            draft.detail = draft.detail ?? field.name
        },
        Rule("license", .honoured, "a text or at most 64, of at most 256 KiB together") {
            (draft, field) throws(DialectError) in
            var texts: [String] = []
            for entry in field.node.string == nil ? try field.elements(atMost: Limits.licenses) : [field] {
                texts.append(try entry.string(atMost: Limits.licenseBytes))
            }
            let text = texts.joined(separator: "\n")
            guard text.utf8.count <= Limits.licenseBytes else {
                throw .tooLong(field: field.name, bytes: text.utf8.count, limit: Limits.licenseBytes)
            }
            draft.license = text
            draft.detail = draft.detail ?? field.name
        },
    ]

    private static let refusals: [Rule<Self>] =
        ["quantize", "quantization"].map {
            Rule.empty($0, "upload a file that is quantized already")
        } + [
            Rule("adapters", .refused, "only an empty object; upload a model that was merged with them") {
                (draft, field) throws(DialectError) in
                try field.requireObject()
                guard field.members.isEmpty else {
                    throw .unsupportedField(field: field.name, remedy: "upload a model that was merged with them")
                }
            },
            .empty("path", "this machine's files are not for clients to name; use modelfile or files"),
            .empty("renderer", "the model's own template is used"),
            .empty("parser", "the model's own template says how its calls are read"),
            .empty("remote_host", "models of other servers are not asked"),
        ]

    static let messageTable = RuleTable<MessageDraft>(
        place: "messages[]",
        [
            Rule("role", .honoured, "system, user or assistant") { (message, field) throws(DialectError) in
                message.role = Ollama.Modelfile.role(try field.word(["system", "user", "assistant"]))
            },
            Rule("content", .honoured, "at most 256 KiB; empty when absent") { (message, field) throws(DialectError) in
                message.text = try field.string(atMost: Limits.variantTextBytes)
            },
            Rule("images", .refused, "only an empty array") { (_, field) throws(DialectError) in
                guard try field.elements(atMost: Limits.contentParts).isEmpty else {
                    throw .unsupportedField(field: field.name, remedy: "send pictures with the request")
                }
            },
            Rule("tool_calls", .refused, "only an empty array") { (_, field) throws(DialectError) in
                guard try field.elements(atMost: Limits.messageToolCalls).isEmpty else {
                    throw .unsupportedField(field: field.name, remedy: "send calls with the request")
                }
            },
            .refused("tool_name", "send results of tools with the request"),
            .refused("thinking", "send earlier thoughts with the request"),
        ])
}

extension Ollama {
    /// A request for another name of a model: `POST /api/copy`.
    package struct CopyRequest: Sendable {
        /// The model as the client named it.
        package var source: String
        /// The new name, without `:latest`.
        package var destination: String
        /// What was accepted but has no effect here, a sentence each.
        package var warnings: [String]

        /// Reads a request body; see `AnswerRequest.decode`.
        ///
        /// **Throws:** `DialectError` naming field, limit and value.
        package static func decode(_ body: [UInt8]) throws(DialectError) -> CopyRequest {
            var draft = CopyDraft()
            try CopyDraft.table.decode(body, into: &draft)
            guard let source = draft.source else { throw .missingField("source") }
            guard let destination = draft.destination else { throw .missingField("destination") }
            let name = try ModelNames.checked(destination, field: "destination")
            return CopyRequest(source: source, destination: name, warnings: draft.warnings.all)
        }

        /// Every field and what becomes of it, by name.
        package static var fields: [FieldDescription] { CopyDraft.table.descriptions }
    }

    /// A request for another name while its fields are read.
    struct CopyDraft: FieldTarget {
        var warnings = Warnings()
        var source: String?
        var destination: String?

        static let table = RuleTable<CopyDraft>([
            Rule("source", .honoured, "a model that is here") { (draft, field) throws(DialectError) in
                draft.source = try field.string(atMost: Limits.modelBytes)
            },
            Rule("destination", .honoured, "1 … 3 parts and a tag") { (draft, field) throws(DialectError) in
                draft.destination = try field.string(atMost: Limits.modelBytes)
            },
        ])
    }
}
