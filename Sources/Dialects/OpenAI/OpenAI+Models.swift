package import Vocabulary

extension OpenAI {
    /// A model of `GET /v1/models`.
    package struct Model: Sendable {
        /// What is known about the model.
        package var card: ModelCard
        /// Since when it is known here. **Units:** seconds since 1970.
        package var created: Int64
        /// Who provides it; the organisation of a hub reference, else the server's own name.
        package var owner: String
        /// Whether it can be used now: `ready`; `starting`, it is being loaded; `sleeping` and `available`, a request
        /// loads it; `failed`.
        package var state: String
        /// Why it is not ready and what to do, one sentence.
        package var reason: String?
        /// Other names of it.
        package var aliases: [String] = []
        /// Where its file comes from.
        package var sources: [String] = []
        /// The model this is another name of; nil for a model's own name.
        package var aliasOf: String?

        /// Describes a model.
        package init(card: ModelCard, created: Int64, owner: String, state: String, reason: String? = nil) {
            self.card = card
            self.created = created
            self.owner = owner
            self.state = state
            self.reason = reason
        }
    }

    /// The body of `GET /v1/models`.
    package static func body(of models: [Model]) -> [UInt8] {
        var writer = JSONWriter(reserving: 64 + 512 * models.count)
        writer.beginObject()
        writer.key("object")
        writer.string("list")
        writer.key("data")
        writer.beginArray()
        for model in models { write(model, to: &writer) }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }

    /// The body of `GET /v1/models/{id}`.
    package static func body(of model: Model) -> [UInt8] {
        var writer = JSONWriter(reserving: 512)
        write(model, to: &writer)
        return writer.bytes
    }

    private static func write(_ model: Model, to writer: inout JSONWriter) {
        let card = model.card
        writer.beginObject()
        writer.key("id")
        writer.string(card.id)
        writer.key("object")
        writer.string("model")
        writer.key("created")
        writer.integer(model.created)
        writer.key("owned_by")
        writer.string(model.owner)
        writer.key("meta")
        writer.beginObject()
        writer.key("state")
        writer.string(model.state)
        writer.key("reason")
        writer.string(orNull: model.reason)
        writer.key("architecture")
        writer.string(card.architecture)
        for (name, value) in [
            ("n_ctx", UInt64(clamping: card.servedContext)), ("n_ctx_train", UInt64(clamping: card.trainedContext)),
            ("n_params", card.parameterCount), ("n_vocab", UInt64(clamping: card.vocabularySize)),
            ("n_embd", UInt64(clamping: card.width)), ("layers", UInt64(clamping: card.layerCount)),
            ("size", card.weightBytes.bytes),
        ] {
            writer.key(name)
            writer.integer(value)
        }
        writer.key("digest")
        writer.string(card.digest)
        for (name, values) in [("aliases", model.aliases), ("sources", model.sources)] {
            writer.key(name)
            writer.beginArray()
            for value in values { writer.string(value) }
            writer.endArray()
        }
        writer.key("alias_of")
        writer.string(orNull: model.aliasOf)
        writer.key("sees")
        writer.bool(card.sees ?? false)
        writer.endObject()
        writer.endObject()
    }
}
