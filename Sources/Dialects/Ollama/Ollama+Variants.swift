package import Vocabulary

extension Ollama {
    /// Defaults of a variant: the fields of `options` that a request can have.
    enum Parameters {
        /// Reads an object of defaults, sorted by name. What has no effect here is not kept, and warned about.
        static func decode(_ field: Field, warnings: inout Warnings) throws(DialectError) -> [ModelVariant.Parameter] {
            try field.requireObject()
            var scratch = RequestDraft.blank
            var kept: [String: String] = [:]
            for (key, member) in field.members {
                guard let rule = Options.rule(key) else {
                    throw .invalidValue(
                        field: field.name, value: "'\(clipped(key))'", expected: "names of options of POST /api/chat")
                }
                try rule.apply(&scratch, member)
                guard let name = StatedOptions.names[key] else { continue }
                let text = member.node.text
                guard text.utf8.count <= Limits.parameterBytes else {
                    throw .tooLong(field: member.name, bytes: text.utf8.count, limit: Limits.parameterBytes)
                }
                kept[name] = text
            }
            for sentence in scratch.warnings.all { warnings.add(sentence) }
            return kept.sorted { $0.key < $1.key }.map { ModelVariant.Parameter(name: $0.key, value: $0.value) }
        }

        /// Fills in what a request left open.
        static func apply(_ parameters: [ModelVariant.Parameter], to request: inout GenerationRequest) {
            let stated = request.stated ?? []
            var draft = RequestDraft(id: request.id)
            swap(&draft.request, &request)
            for parameter in parameters where !stated.contains(parameter.name) {
                guard let rule = Options.rule(parameter.name),
                    let node = try? JSONReader.read(Array(parameter.value.utf8))
                else { continue }
                // It was read before it was kept; what an older release allowed and this one does not has no effect.
                try? rule.apply(&draft, Field(node: node, path: .member(.body, parameter.name)))
            }
            swap(&draft.request, &request)
            if request.maxOutputTokens == nil, let limit = draft.outputLimits.first {
                request.maxOutputTokens = limit.value
            }
        }

        /// The defaults as `POST /api/show` tells them: a line each, of a list one per element.
        static func lines(_ parameters: [ModelVariant.Parameter]) -> [(name: String, value: String)] {
            parameters.flatMap { parameter in
                let node = try? JSONReader.read(Array(parameter.value.utf8))
                let values = node?.array?.map(\.text) ?? [parameter.value]
                return values.map { (parameter.name, $0) }
            }
        }
    }

    /// Turns a request to a variant into one to its base: the variant's defaults count where the request says nothing
    /// itself. A prompt without chat template gets no messages.
    package static func apply(_ variant: ModelVariant, to request: inout GenerationRequest) {
        request.model = variant.base
        guard request.embedding == nil else { return }
        if case .chat(let messages) = request.prompt { request.prompt = .chat(variant.begun(messages)) }
        Parameters.apply(variant.parameters, to: &request)
    }
}

extension Ollama.Options {
    /// The rule of an option.
    static func rule(_ name: String) -> FieldRule? { rules[name] }

    private static let rules = Dictionary(uniqueKeysWithValues: table.rules.map { ($0.description.name, $0) })
}
