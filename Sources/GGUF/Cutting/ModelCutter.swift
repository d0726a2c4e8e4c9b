package import Vocabulary

/// Cuts one model: says where it may be cut and how each stage's file is made.
package struct ModelCutter: Sendable {
    /// The model's header.
    package let file: GGUFFile
    /// The family's rules.
    package let rules: FamilyRules
    /// The family.
    package let architecture: String
    /// Layers that can be placed; draft heads behind them (`nextn_predict_layers`) stay with the last stage.
    package let layerCount: Int
    /// Floats per row between stages.
    package let width: Int

    /// Reads what cutting needs from a header.
    ///
    /// **Throws:** `incomplete` when the header lacks it.
    package init(_ file: GGUFFile) throws(CutError) {
        guard let architecture = file.architecture else {
            throw .incomplete(field: GGUFFormat.architectureKey, problem: "is missing")
        }
        let key = "\(architecture).block_count"
        guard let blocks = file.layerCount, blocks > 0 else { throw .incomplete(field: key, problem: "is missing") }
        guard let width = file.unsigned("\(architecture).embedding_length").flatMap(Int.init(exactly:)), width > 0 else {
            throw .incomplete(field: "\(architecture).embedding_length", problem: "is missing")
        }
        let heads = file.unsigned("\(architecture).nextn_predict_layers").flatMap(Int.init(exactly:)) ?? 0
        guard heads < blocks else {
            throw .incomplete(field: "\(architecture).nextn_predict_layers", problem: "is \(heads) of \(blocks) layers")
        }
        self.file = file
        self.architecture = architecture
        self.width = width
        rules = FamilyRules.rules(for: architecture)
        layerCount = blocks - heads
    }

    /// The layers at which a stage may start, without 0; empty when the family is refused.
    package var legalBoundaries: [Int] {
        guard rules.refusal == nil else { return [] }
        return (1..<max(layerCount, 1)).filter { problem(ofBoundary: $0) == nil }
    }

    /// Every cut into `stageCount` stages that is legal, in lexical order, at most `limit` of them.
    package func legalCuts(stageCount: Int, limit: Int) -> [Cut] {
        var cuts: [Cut] = []
        extend([], stageCount - 1, legalBoundaries[...], limit, &cuts)
        return cuts
    }

    /// The legal cut into `stageCount` stages whose layer counts are most even.
    ///
    /// **Throws:** `tooManyStages` with the largest number that works; `unsupportedFamily`.
    package func evenCut(stageCount: Int) throws(CutError) -> Cut {
        try requireSupport()
        var best: (spread: Int, cut: Cut)?
        let ideal = (1..<max(stageCount, 1)).map { $0 * layerCount / stageCount }
        for cut in candidates(near: ideal) {
            let sizes = cut.stages.map(\.count)
            let spread = sizes.reduce(0) { $0 + $1 * $1 }
            if spread < best?.spread ?? Int.max { best = (spread, cut) }
        }
        if let best { return best.cut }
        let most = (1...layerCount).last { !legalCuts(stageCount: $0, limit: 1).isEmpty } ?? 1
        throw .tooManyStages(asked: stageCount, most: most)
    }

    /// Checks a cut.
    ///
    /// **Throws:** `unsupportedFamily`, `wrongLayerCount`, `illegalBoundary` with the legal ones, or `illegalStage`.
    package func check(_ cut: Cut) throws(CutError) {
        guard cut.layerCount == layerCount else { throw .wrongLayerCount(given: cut.layerCount, actual: layerCount) }
        guard cut.stageCount > 1 else { return }
        try requireSupport()
        for boundary in cut.boundaries {
            if let reason = problem(ofBoundary: boundary) {
                throw .illegalBoundary(boundary: boundary, reason: reason, legal: legalBoundaries)
            }
        }
        for layers in cut.stages {
            if let reason = problem(ofStage: layers) { throw .illegalStage(layers: layers, reason: reason) }
        }
    }

    private func requireSupport() throws(CutError) {
        if let reason = rules.refusal { throw .unsupportedFamily(architecture: architecture, reason: reason) }
        if file.unsigned("split.count") ?? 0 > 1 {
            throw .incomplete(field: "split.count", problem: "says that this is a part of a model; merge the parts first")
        }
    }

    // Walks boundaries left to right; a prefix is dropped as soon as one of its stages is illegal.
    private func extend(_ chosen: [Int], _ missing: Int, _ rest: ArraySlice<Int>, _ limit: Int, _ cuts: inout [Cut]) {
        guard cuts.count < limit else { return }
        let first = chosen.last ?? 0
        if missing == 0 {
            if problem(ofStage: LayerRange(first: first, end: layerCount)) == nil,
                let cut = Cut(layerCount: layerCount, boundaries: chosen)
            {
                cuts.append(cut)
            }
            return
        }
        guard rest.count >= missing else { return }
        for index in rest.indices where problem(ofStage: LayerRange(first: first, end: rest[index])) == nil {
            extend(chosen + [rest[index]], missing - 1, rest[(index + 1)...], limit, &cuts)
        }
    }

    /// Legal cuts whose boundaries lie near the ideal ones; all of them when the model is small.
    private func candidates(near ideal: [Int]) -> [Cut] {
        let near = legalBoundaries.filter { boundary in ideal.contains { abs($0 - boundary) <= max(2, layerCount / 8) } }
        var cuts: [Cut] = []
        extend([], ideal.count, near[...], 4096, &cuts)
        return cuts.isEmpty ? legalCuts(stageCount: ideal.count + 1, limit: 4096) : cuts
    }
}

extension ModelCutter {
    /// The value of a family number in this model.
    func value(of number: FamilyNumber) -> Int {
        switch number {
        case .constant(let value): value
        case .key(let key, let fallback):
            file.unsigned("\(architecture).\(key)").flatMap(Int.init(exactly:)) ?? fallback
        }
    }

    /// Whether a layer is of a kind.
    func layer(_ layer: Int, is kind: LayerKind) -> Bool {
        switch kind {
        case .withTensor(let role): file.tensor(named: "blk.\(layer).\(role)") != nil
        case .withoutTensors(let roles): roles.allSatisfy { file.tensor(named: "blk.\(layer).\($0)") == nil }
        case .periodic(let number, let last):
            (layer % max(1, value(of: number)) == max(1, value(of: number)) - 1) == last
        case .periodicFirst(let number, let first):
            (layer % max(1, value(of: number)) == 0) == first
        case .entry(let key, let isZero):
            entry(key, layer).map { ($0 == 0) == isZero } ?? false
        }
    }

    private func entry(_ key: String, _ layer: Int) -> Int64? {
        guard let array = file.integers("\(architecture).\(key)"), layer < array.count else {
            return file.integer("\(architecture).\(key)")
        }
        return array[layer]
    }

    private func problem(ofBoundary boundary: Int) -> String? {
        for rule in rules.boundaries {
            switch rule {
            case .multiple(let number, let reason):
                if let problem = problem(boundary, period: value(of: number), reason) { return problem }
            case .multipleUnlessArray(let number, let array, let reason):
                guard file["\(architecture).\(array)"]?.array == nil else { continue }
                if let problem = problem(boundary, period: value(of: number), reason) { return problem }
            case .notAfter(let number, let reason):
                if boundary > value(of: number) { return reason }
            case .notBefore(let number, let reason):
                if boundary < value(of: number) { return reason }
            }
        }
        return nil
    }

    private func problem(_ boundary: Int, period: Int, _ reason: String) -> String? {
        period > 1 && boundary % period != 0 ? "\(reason), so cuts must fall on multiples of \(period)" : nil
    }

    private func problem(ofStage layers: LayerRange) -> String? {
        // A kind the whole model lacks is required of no stage.
        for requirement in rules.requirements
        where (0..<layerCount).contains(where: { layer($0, is: requirement.kind) })
            && !layers.indices.contains(where: { layer($0, is: requirement.kind) })
        {
            return "it has no \(requirement.name), and llama.cpp needs at least one"
        }
        return nil
    }
}
