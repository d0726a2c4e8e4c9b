package import Vocabulary

extension Ollama {
    /// A model as Ollama's clients see it.
    package struct Model: Sendable {
        /// What is known about the model.
        package var card: ModelCard
        /// Since when it is known here.
        package var modified: Timestamp
        /// What it was made of here; nil for every other model.
        package var variant: ModelVariant?
        /// When it is unloaded unless a request comes; nil for never.
        package var expires: Timestamp?
        /// Whether a GPU computes it; nil when that is not known.
        package var isOnGPU: Bool?

        /// Describes a model.
        package init(card: ModelCard, modified: Timestamp) {
            self.card = card
            self.modified = modified
        }
    }

    /// What a deployment's end is called, because it has none: clients show it as "forever".
    private static let never = "9999-12-31T23:59:59Z"

    /// The body of `GET /api/tags`: every model that can be asked for.
    package static func tagsBody(_ models: [Model]) -> [UInt8] {
        list(models) { model, writer in
            writer.key("modified_at")
            writer.string(model.modified.description)
        }
    }

    /// The body of `GET /api/ps`: the models in memory.
    package static func runningBody(_ models: [Model]) -> [UInt8] {
        list(models) { model, writer in
            writer.key("expires_at")
            writer.string(model.expires?.description ?? never)
            writer.key("size_vram")
            writer.integer(model.isOnGPU == false ? 0 : model.card.weightBytes.bytes)
            writer.key("context_length")
            writer.integer(model.card.servedContext)
        }
    }

    private static func list(_ models: [Model], _ rest: (Model, inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter(reserving: 64 + 512 * models.count)
        writer.beginObject()
        writer.key("models")
        writer.beginArray()
        for model in models {
            writer.beginObject()
            for key in ["name", "model"] {
                writer.key(key)
                writer.string(model.card.id)
            }
            writer.key("size")
            writer.integer(model.card.weightBytes.bytes)
            writer.key("digest")
            writer.string(model.card.digest)
            writeDetails(model, to: &writer)
            rest(model, &writer)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }

    private static func writeDetails(_ model: Model, to writer: inout JSONWriter) {
        let card = model.card
        writer.key("details")
        writer.beginObject()
        for (key, value) in [
            ("parent_model", model.variant?.base ?? ""), ("format", "gguf"), ("family", card.architecture),
        ] {
            writer.key(key)
            writer.string(value)
        }
        writer.key("families")
        writer.beginArray()
        writer.string(card.architecture)
        writer.endArray()
        writer.key("parameter_size")
        writer.string(parameterSize(card.parameterCount))
        writer.key("quantization_level")
        writer.string(card.quantization)
        writer.endObject()
    }

    /// A number of parameters as people say it: `7.3M`, `8.0B`.
    static func parameterSize(_ count: UInt64) -> String {
        for (unit, name) in [(1_000_000_000, "B"), (1_000_000, "M"), (1000, "K")] as [(UInt64, String)]
        where count >= unit {
            return "\(count / unit).\(count % unit * 10 / unit)\(name)"
        }
        return "\(count)"
    }

    /// Whether a model generates nothing.
    package static func makesOnlyVectors(_ card: ModelCard) -> Bool {
        EncoderFamilies.names.contains(card.architecture)
    }

    /// What a model can do, as far as its template tells. Tools work with any template; thinking needs one that knows
    /// it.
    private static func capabilities(_ card: ModelCard) -> [String] {
        if makesOnlyVectors(card) { return ["embedding"] }
        let thinks = ["enable_thinking", "<think>", "reasoning_content"].contains { card.chatTemplate.contains($0) }
        return ["completion", "tools"] + (thinks ? ["thinking"] : []) + (card.sees == true ? ["vision"] : [])
    }

    /// The body of `POST /api/show`.
    package static func showBody(_ model: Model) -> [UInt8] {
        let card = model.card
        var writer = JSONWriter(reserving: 1024)
        writer.beginObject()
        for (key, value) in texts(of: model) {
            writer.key(key)
            writer.string(value)
        }
        if let messages = model.variant?.messages, !messages.isEmpty { write(messages, to: &writer) }
        writeDetails(model, to: &writer)
        writer.key("model_info")
        writer.beginObject()
        writer.key("general.architecture")
        writer.string(card.architecture)
        for (key, value) in [
            ("general.parameter_count", card.parameterCount),
            ("\(card.architecture).block_count", UInt64(clamping: card.layerCount)),
            ("\(card.architecture).context_length", UInt64(clamping: card.trainedContext)),
            ("\(card.architecture).embedding_length", UInt64(clamping: card.width)),
            ("\(card.architecture).vocab_size", UInt64(clamping: card.vocabularySize)),
        ] {
            writer.key(key)
            writer.integer(value)
        }
        writer.endObject()
        writer.key("capabilities")
        writer.beginArray()
        for capability in capabilities(card) { writer.string(capability) }
        writer.endArray()
        writer.key("modified_at")
        writer.string(model.modified.description)
        writer.endObject()
        return writer.bytes
    }

    /// The texts of `POST /api/show`.
    private static func texts(of model: Model) -> [(String, String)] {
        let card = model.card
        let window = "num_ctx \(card.servedContext)"
        guard let variant = model.variant else {
            return [
                ("license", card.license), ("modelfile", "FROM \(card.id)\nPARAMETER \(window)\n"),
                ("parameters", window), ("template", card.chatTemplate),
            ]
        }
        let parameters = Parameters.lines(variant.parameters).map { "\($0.name) \($0.value)" } + [window]
        return [
            ("license", variant.license.isEmpty ? card.license : variant.license),
            ("modelfile", modelfile(of: variant)), ("parameters", parameters.joined(separator: "\n")),
            ("template", card.chatTemplate), ("system", variant.system),
        ]
    }

    private static func write(_ messages: [ModelVariant.Turn], to writer: inout JSONWriter) {
        writer.key("messages")
        writer.beginArray()
        for turn in messages {
            writer.beginObject()
            writer.key("role")
            writer.string(turn.role.rawValue)
            writer.key("content")
            writer.string(turn.text)
            writer.endObject()
        }
        writer.endArray()
    }
}
