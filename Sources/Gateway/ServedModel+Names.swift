package import Vocabulary

extension ServedModel {
    /// The model as names find it. A name that was made for another model has neither its content nor its origin.
    package var named: NamedModel {
        guard variant == nil else { return NamedModel(id: card.id, standing: .made) }
        return NamedModel(
            id: card.id, standing: standing, aliases: aliases, sources: sources,
            quantization: card.quantization == "unknown" ? "" : card.quantization, digest: card.digest)
    }
}

extension [ServedModel] {
    /// The model a name means.
    ///
    /// **Throws:** `ModelNameError`.
    package func resolve(_ name: String) throws(ModelNameError) -> ServedModel {
        let found = try ModelResolver(map(\.named), preferred: preferredName).resolve(name)
        guard let model = first(where: { $0.named == found }) else { throw .unknown(name: name, available: []) }
        return model
    }

    /// What `auto` means: what this node serves by itself, else what is ready, else what can be.
    private var preferredName: String? {
        let models = filter { $0.variant == nil && $0.state != .available }
        let model = models.first { $0.standing == .own } ?? models.first { $0.state == .ready } ?? models.first
        return model?.card.id
    }

    /// Every model, and behind it an entry for each of its other names that is no model's own.
    package var listed: [ServedModel] {
        let names = Set(map(\.card.id))
        return flatMap { model in
            [model]
                + model.aliases.filter { !names.contains($0) }.map { alias in
                    var entry = model
                    (entry.card.id, entry.aliasOf) = (alias, model.card.id)
                    return entry
                }
        }
    }
}
