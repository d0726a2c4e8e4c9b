extension Ollama {
    /// A request about a model instead of to one: `POST /api/show`, `POST /api/pull`, `DELETE /api/delete`.
    package struct ModelRequest: Sendable {
        /// The routes.
        package enum Route: Hashable, Sendable, CaseIterable {
            /// `POST /api/show`
            case show
            /// `POST /api/pull`
            case pull
            /// `DELETE /api/delete`
            case delete
        }

        /// The model as the client named it.
        package var model: String
        /// Answer as a stream of lines.
        package var stream: Bool
        /// What was accepted but has no effect here, a sentence each.
        package var warnings: [String]

        /// Reads a request body; see `AnswerRequest.decode`.
        ///
        /// **Throws:** `DialectError` naming field, limit and value.
        package static func decode(_ body: [UInt8], route: Route) throws(DialectError) -> ModelRequest {
            var draft = ModelDraft()
            try table(route).decode(body, into: &draft)
            guard let first = draft.models.first else { throw .missingField("model") }
            if let other = draft.models.first(where: { $0.value != first.value }) {
                throw .conflict(field: other.field, reason: "it differs from '\(first.field)'; send only one of them")
            }
            return ModelRequest(model: first.value, stream: draft.stream, warnings: draft.warnings.all)
        }

        /// Every field of a route and what becomes of it, by name.
        package static func fields(_ route: Route) -> [FieldDescription] { table(route).descriptions }

        private static func table(_ route: Route) -> RuleTable<ModelDraft> {
            switch route {
            case .show: showTable
            case .pull: pullTable
            case .delete: deleteTable
            }
        }

        private static let deleteTable = RuleTable<ModelDraft>(ModelDraft.shared)

        private static let showTable = RuleTable<ModelDraft>(
            ModelDraft.shared,
            [
                Rule("verbose", .noted, "all that is known is always shown") { (draft, field) throws(DialectError) in
                    guard try field.bool() else { return }
                    draft.warnings.add("'verbose' has no effect: all that is known is always shown.")
                },
                .empty("system", "the model's own values are shown"),
                .empty("template", "the model's own values are shown"),
                Rule("options", .refused, "only an empty object; the model's own values are shown") {
                    (_, field) throws(DialectError) in
                    try field.requireObject()
                    guard field.members.isEmpty else {
                        throw .unsupportedField(field: field.name, remedy: "the model's own values are shown")
                    }
                },
            ])
        private static let pullTable = RuleTable<ModelDraft>(
            ModelDraft.shared,
            [
                Rule("stream", .honoured, "true by default") { (draft, field) throws(DialectError) in
                    draft.stream = try field.bool()
                },
                Rule("insecure", .noted, "no registry is asked; a model of the cluster is loaded") {
                    (_, field) throws(DialectError) in
                    _ = try field.bool()
                },
                .empty("username", "registries with passwords are not known"),
                .empty("password", "registries with passwords are not known"),
            ])
    }

    /// A request about a model while its fields are read.
    struct ModelDraft: FieldTarget {
        var warnings = Warnings()
        var models: [RequestDraft.Named<String>] = []
        var stream = true

        static let shared: [Rule<ModelDraft>] = [
            name("model", .honoured, "an empty one counts as absent"),
            name("name", .mapped, "older clients' model; an empty one counts as absent"),
        ]

        static func name(_ key: String, _ disposition: FieldDisposition, _ note: String) -> Rule<ModelDraft> {
            Rule(key, disposition, note) { (draft, field) throws(DialectError) in
                guard let name = try field.filledString(atMost: Limits.modelBytes) else { return }
                draft.models.append(.init(field: field.name, value: name))
            }
        }
    }

    /// What the server cannot do for a model yet, each a route of Ollama's that is refused as a whole.
    package enum MissingFeature: String, Sendable, CaseIterable {
        /// `POST /api/push`
        case push
        /// Making, naming, uploading and removing models, on a node that cannot keep any
        case models
        /// A request without prompt and with `keep_alive` 0, to a model that is this node's own
        case unload

        /// The report a client gets.
        package var report: ErrorReport {
            let (what, remedy) =
                switch self {
                case .push: ("Pushing models is", "copy the model file itself")
                case .models:
                    ("Keeping models of its own is", "its log says why the data folder cannot be used")
                case .unload:
                    ("Unloading a model of this node alone is", "stop 'skein serve', or serve it by 'skein deploy'")
                }
            return ErrorReport(.notImplemented, message: "\(what) not supported by this server; \(remedy).")
        }
    }
}
