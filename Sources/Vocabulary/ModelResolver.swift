/// A model as names find it.
package struct NamedModel: Hashable, Sendable {
    /// Whose name counts first when several models have the same one.
    package enum Standing: Int, Hashable, Sendable, Comparable {
        /// This node was started to serve it.
        case own
        /// A name that was made here, for another model.
        case made
        /// The cluster serves it.
        case deployed
        /// A file of this node.
        case local
        /// A file of another node.
        case remote
        /// What the cluster remembers of a deployment, when a new one is to be made.
        case remembered

        /// Orders by what counts first.
        package static func < (left: Standing, right: Standing) -> Bool { left.rawValue < right.rawValue }
    }

    /// The name clients use.
    package var id: String
    /// Whose name counts first.
    package var standing: Standing
    /// Other names.
    package var aliases: [String]
    /// Where its file comes from; nothing for a name that was made for another model.
    package var sources: [ModelSource]
    /// How its weights are stored; empty where nobody says.
    package var quantization: String
    /// SHA-256 of its file; empty where nobody says, and for a name that was made for another model.
    package var digest: String

    /// Makes an entry.
    package init(
        id: String, standing: Standing, aliases: [String] = [], sources: [ModelSource] = [],
        quantization: String = "", digest: String = ""
    ) {
        self.id = id
        self.standing = standing
        self.aliases = aliases
        self.sources = sources
        self.quantization = quantization
        self.digest = digest
    }

    /// Two with the same content are one model.
    fileprivate var content: String { digest.isEmpty ? "name \(standing) \(id)" : digest }
}

/// Finds the model a name means among those there are.
///
/// A name as it is counts first, in the order of standing; then aliases; then both with `:latest` or without; then all
/// of that in other cases of letters; at last where files come from. Beyond a name as it is nothing is guessed: what
/// may mean two models is an error that lists them.
package struct ModelResolver: Sendable {
    private let models: [NamedModel]
    private let preferred: String?
    /// Names that an error lists.
    private static let listed = 32

    /// Finds among `models`; `auto` means the one with the id `preferred`.
    package init(_ models: [NamedModel], preferred: String? = nil) {
        self.models = models
        self.preferred = preferred
    }

    /// The model a name means.
    ///
    /// **Throws:** `ModelNameError`.
    package func resolve(_ text: String) throws(ModelNameError) -> NamedModel {
        if let exact = try first(models.filter { $0.id == text }, of: text) { return exact }
        let reference = try ModelReference(text)
        switch reference.form {
        case .any:
            guard let model = models.first(where: { $0.id == preferred }) else { throw unknown(text) }
            return model
        case .digest(let digest):
            guard let model = best(models.filter { $0.digest == digest }) else { throw unknown(text) }
            return model
        case .name(let name, let tag):
            if let model = try named(text, without: tag == nil ? nil : name, tag: tag) { return model }
            guard let tag else { throw unknown(text) }
            return try quantized(text, name, tag)
        case .source(let source):
            let base = source.quantization == nil ? nil : source.name
            if source.revision == nil,
                let model = try named(text, without: base, tag: source.quantization)
            {
                return model
            }
            return try sourced(text, source)
        }
    }

    /// A name by which `resolve` finds this very model: its id, or its digest when that means another one.
    package func canonicalName(of model: NamedModel) -> String {
        guard let found = try? resolve(model.id), found.content == model.content else {
            return model.digest.isEmpty ? model.id : model.digest
        }
        return model.id
    }

    // MARK: Names

    private func named(_ text: String, without base: String?, tag: String?) throws(ModelNameError) -> NamedModel? {
        var names = [text]
        if let base, tag.map(Self.folded) == ModelReference.latest { names.append(base) }
        if tag == nil { names.append("\(text):\(ModelReference.latest)") }
        if let found = try only(models.filter { $0.aliases.contains(text) }, of: text) { return found }
        for name in names.dropFirst() {
            if let found = try first(models.filter { $0.id == name }, of: text) { return found }
            if let found = try only(models.filter { $0.aliases.contains(name) }, of: text) { return found }
        }
        let folded = Set(names.map(Self.folded))
        return try only(
            models.filter {
                folded.contains(Self.folded($0.id)) || $0.aliases.map(Self.folded).contains(where: folded.contains)
            },
            of: text)
    }

    /// A name with the quantisation behind its colon.
    private func quantized(_ text: String, _ name: String, _ tag: String) throws(ModelNameError) -> NamedModel {
        let folded = Self.folded(name)
        let called = models.filter { model in
            model.standing != .made && ([model.id] + model.aliases).map(Self.folded).contains(folded)
        }
        guard !called.isEmpty else { throw unknown(text) }
        let fitting = called.filter { Self.folded($0.quantization) == Self.folded(tag) }
        if let model = try only(fitting, of: text) { return model }
        throw .otherQuantization(
            model: name, asked: tag, present: Self.sorted(called.map { Self.said($0.quantization) }))
    }

    // MARK: Sources

    private func sourced(_ text: String, _ asked: ModelSource) throws(ModelNameError) -> NamedModel {
        let name = Self.folded(asked.name)
        let ofRepository = pairs.filter { Self.folded($0.source.name) == name }
        guard !ofRepository.isEmpty else { throw unknown(text) }
        let ofRevision = ofRepository.filter { asked.revision == nil || $0.source.revision == asked.revision }
        guard !ofRevision.isEmpty else {
            let present = Self.sorted(ofRepository.map { Self.said($0.source.revision ?? "") })
            throw .otherRevision(repository: asked.name, asked: asked.revision ?? "", present: present)
        }
        var wanted = asked.quantization.map(Self.folded)
        if wanted == ModelReference.latest { wanted = nil }
        let fitting = ofRevision.filter { wanted == nil || Self.folded($0.source.quantization ?? "") == wanted }
        if let model = try only(fitting.map(\.model), of: text, by: asked) { return model }
        let present = Self.sorted(ofRevision.map { Self.said($0.source.quantization ?? "") })
        let repository = asked.name + (asked.revision.map { "@\($0)" } ?? "")
        throw .otherQuantization(model: repository, asked: asked.quantization ?? "", present: present)
    }

    /// Every source of every model, with the quantisation the model has where the source leaves it open.
    private var pairs: [(model: NamedModel, source: ModelSource)] {
        models.flatMap { model in model.fullSources.map { (model, $0) } }
    }

    // MARK: Decisions

    /// The one of them that counts first; several contents of one standing are an error.
    private func first(_ matches: [NamedModel], of text: String) throws(ModelNameError) -> NamedModel? {
        guard let standing = matches.map(\.standing).min() else { return nil }
        return try only(matches.filter { $0.standing == standing }, of: text)
    }

    /// The only content among them, as it counts first; nil for none.
    private func only(
        _ matches: [NamedModel], of text: String, by source: ModelSource? = nil
    ) throws(ModelNameError) -> NamedModel? {
        guard Set(matches.map(\.content)).count > 1 else { return best(matches) }
        let texts = matches.map { candidate($0, among: matches, by: source) }
        throw .ambiguous(name: text, candidates: Self.sorted(texts))
    }

    private func best(_ matches: [NamedModel]) -> NamedModel? {
        // The earlier one of equals: an order somebody chose.
        matches.enumerated().min { ($0.element.standing, $0.offset) < ($1.element.standing, $1.offset) }?.element
    }

    /// How to name one of several: by where it comes from if that was asked and tells them apart, else by its name,
    /// else by its content.
    private func candidate(_ model: NamedModel, among matches: [NamedModel], by source: ModelSource?) -> String {
        let others = matches.filter { $0.content != model.content }
        if let source {
            let own = model.fullSources.first { Self.folded($0.name) == Self.folded(source.name) }
            if let own, !others.contains(where: { $0.fullSources.contains(own) }) { return own.description }
        }
        let holders = Set(models.filter { $0.id == model.id }.map(\.content))
        return holders.count == 1 || model.digest.isEmpty ? model.id : model.digest
    }

    private func unknown(_ text: String) -> ModelNameError {
        var seen: Set<String> = []
        let ids = models.map(\.id).filter { seen.insert($0).inserted }
        return .unknown(name: text, available: Array(ids.prefix(Self.listed)))
    }

    private static func sorted(_ texts: [String]) -> [String] { Array(Set(texts).sorted().prefix(listed)) }

    private static func said(_ text: String) -> String { text.isEmpty ? "one that nobody named" : text }

    /// Case does not count for ASCII letters: hubs and Ollama take names so.
    private static func folded(_ text: String) -> String {
        String(decoding: text.utf8.map { (65...90).contains($0) ? $0 + 32 : $0 }, as: UTF8.self)
    }
}

extension NamedModel {
    /// Where its file comes from, with the quantisation it has where a source leaves that open.
    package var fullSources: [ModelSource] {
        sources.map { source in
            var source = source
            if source.quantization == nil, !quantization.isEmpty { source.quantization = quantization }
            return source
        }
    }
}
