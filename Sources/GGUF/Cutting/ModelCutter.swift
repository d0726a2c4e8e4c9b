package import Vocabulary

/// Cuts one model: says where it may be cut and how each stage's file is made.
package struct ModelCutter: Sendable {
    /// The model's header.
    package let file: GGUFFile
    /// The family's rules.
    package let rules: FamilyRules
    /// The family.
    package let architecture: String
    /// Layers that can be placed. Heads for several tokens behind them (`nextn_predict_layers`) are in no stage unless
    /// they are asked for.
    package let layerCount: Int
    /// Floats per row between stages.
    package let width: Int
    /// Why the model cannot be cut at all; nil when it can. It can always be served in one stage.
    package let obstacle: CutError?

    let facts: ModelFacts
    let table: LayerTable

    /// Reads what cutting needs from a header.
    ///
    /// A family that is not in the table is refused unless `allowsUnknownFamilies`, which cuts it by the trivial rules.
    /// **Throws:** `incomplete` when the header lacks what even one stage needs. A model that cannot be cut is no
    /// error here but an `obstacle`.
    package init(_ file: GGUFFile, allowsUnknownFamilies: Bool = false) throws(CutError) {
        guard let architecture = file.architecture else {
            throw .incomplete(field: GGUFFormat.architectureKey, problem: "is missing")
        }
        let key = "\(architecture).block_count"
        guard let blocks = file.layerCount, blocks > 0 else { throw .incomplete(field: key, problem: "is missing") }
        let widthKey = "\(architecture).embedding_length"
        guard let width = file.unsigned(widthKey).flatMap(Int.init(exactly:)), width > 0 else {
            throw .incomplete(field: widthKey, problem: "is missing")
        }
        let known = FamilyRules.rules(for: architecture)
        let rules = known ?? FamilyRules()
        var heads = file.unsigned("\(architecture).nextn_predict_layers").flatMap(Int.init(exactly:)) ?? 0
        guard heads < blocks else {
            throw .incomplete(field: "\(architecture).nextn_predict_layers", problem: "is \(heads) of \(blocks) layers")
        }
        if rules.probesDraftHeads, file.tensor(named: "blk.\(blocks - heads).nextn.eh_proj.weight") == nil { heads = 0 }
        facts = ModelFacts(
            file: file, architecture: architecture, rules: rules, layerCount: blocks - heads,
            embeddingLength: width)
        self.file = file
        self.architecture = architecture
        self.rules = rules
        layerCount = blocks - heads
        let streams = max(1, facts.value(of: rules.widthFactor))
        let (whole, overflow) = width.multipliedReportingOverflow(by: streams)
        guard !overflow else {
            throw .incomplete(field: widthKey, problem: "is \(width) times \(streams) streams")
        }
        self.width = whole
        table = LayerTable(facts)
        obstacle = facts.obstacle(isKnown: known != nil, allowsUnknownFamilies: allowsUnknownFamilies)
    }

    /// Why the model cannot be cut at all, as a sentence; nil when it can.
    package var refusal: String? { obstacle?.description }

    /// Checks a cut.
    ///
    /// **Throws:** `wrongLayerCount`, the `obstacle`, `illegalBoundary` or `illegalStage` with the legal boundaries.
    package func check(_ cut: Cut) throws(CutError) {
        guard cut.layerCount == layerCount else { throw .wrongLayerCount(given: cut.layerCount, actual: layerCount) }
        guard cut.stageCount > 1 else { return }
        if let obstacle { throw obstacle }
        for boundary in cut.boundaries {
            if let reason = table.problem(ofBoundary: boundary) {
                throw .illegalBoundary(boundary: boundary, reason: reason, legal: legalBoundaries)
            }
        }
        for layers in cut.stages {
            if let reason = table.problem(ofStage: layers) {
                throw .illegalStage(layers: layers, reason: reason, legal: legalBoundaries)
            }
        }
    }
}

extension ModelFacts {
    fileprivate func obstacle(isKnown: Bool, allowsUnknownFamilies: Bool) -> CutError? {
        if let parts = file.unsigned("split.count"), parts > 1 { return .sharded(parts: parts) }
        if let reason = rules.refusal { return .unsupportedFamily(architecture: architecture, reason: reason) }
        if let refusal = rules.modelRefusals.first(where: { holds($0.condition) }) {
            return .unsupportedModel(architecture: architecture, reason: refusal.reason)
        }
        if !allowsUnknownFamilies {
            if !isKnown {
                return .uncertifiedFamily(
                    architecture: architecture, reason: "nobody has compared its stages with the whole model")
            }
            if let reason = rules.doubt { return .uncertifiedFamily(architecture: architecture, reason: reason) }
        }
        for entry in file.metadata where PerLayerKeys.contains(entry.key, of: architecture) {
            if let array = entry.value.array, array.count < layerCount {
                return .incomplete(field: entry.key, problem: "has \(array.count) values for \(layerCount) layers")
            }
        }
        return nil
    }
}

/// The metadata keys whose arrays have one value per layer. No other array is sliced, whatever its length.
enum PerLayerKeys {
    static func contains(_ key: String, of architecture: String) -> Bool {
        if global.contains(key) { return true }
        guard key.hasPrefix(architecture), key.dropFirst(architecture.count).first == "." else { return false }
        return names.contains(String(key.dropFirst(architecture.count + 1)))
    }

    private static let names = [
        "attention.compress_ratios", "attention.head_count", "attention.head_count_kv", "attention.indexer.types",
        "attention.recurrent_layers", "attention.rope_pattern", "attention.sliding_window_pattern", "deepstack_mapping",
        "expert_feed_forward_length", "expert_used_count", "feed_forward_length", "swiglu_clamp_exp",
        "swiglu_clamp_shexp",
    ]

    /// Without the family's name in front.
    private static let global = ["xielu.alpha_n", "xielu.alpha_p", "xielu.beta", "xielu.eps"]
}
