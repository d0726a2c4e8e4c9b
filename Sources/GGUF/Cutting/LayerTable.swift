import Vocabulary

/// Says in constant time whether a range of layers can be a stage, from sums over the layers made once.
struct LayerTable: Sendable {
    private struct Requirement {
        var name: String
        var minimum: Int
        /// How many layers of the kind stand before each index.
        var before: [Int]
    }

    private struct FirstLayer {
        /// For each layer, the next one the rule is about, itself included.
        var next: [Int]
        var isRight: [Bool]
        var reason: String
    }

    private let layerCount: Int
    private let boundaryProblems: [String?]
    private let requirements: [Requirement]
    private let firstLayers: [FirstLayer]
    private let forbiddenSizes: [ForbiddenSizes]

    init(_ facts: ModelFacts) {
        layerCount = facts.layerCount
        boundaryProblems = (0..<facts.layerCount).map { boundary in
            boundary == 0 ? nil : facts.rules.boundaries.lazy.compactMap { facts.problem(boundary, $0) }.first
        }
        requirements = facts.requirements.compactMap { requirement in
            var before = [0]
            for isKind in facts.layers(requirement.kind) { before.append(before[before.count - 1] + (isKind ? 1 : 0)) }
            // A kind the whole model lacks is required of no stage.
            guard before[facts.layerCount] > 0 else { return nil }
            return Requirement(name: requirement.name, minimum: requirement.minimum, before: before)
        }
        firstLayers = facts.firstLayerRules.map { rule in
            let isMeant = rule.among.map(facts.layers) ?? Array(repeating: true, count: facts.layerCount)
            var next = Array(repeating: facts.layerCount, count: facts.layerCount + 1)
            for layer in isMeant.indices.reversed() { next[layer] = isMeant[layer] ? layer : next[layer + 1] }
            let isRight: [Bool]
            switch rule.demand {
            case .isKind(let kind): isRight = facts.layers(kind)
            case .isLikeFirst(let kind):
                let layers = facts.layers(kind)
                isRight = layers.map { $0 == layers[0] }
            }
            return FirstLayer(next: next, isRight: isRight, reason: rule.reason)
        }
        forbiddenSizes = facts.rules.forbiddenSizes.filter { facts.holds($0.condition) }
    }

    /// Why no stage may start at a layer, or nil.
    func problem(ofBoundary boundary: Int) -> String? { boundaryProblems[boundary] }

    /// Why these layers cannot be a stage although its ends are allowed, or nil. The whole model always can.
    func problem(ofStage layers: LayerRange) -> String? {
        guard layers.count < layerCount else { return nil }
        for requirement in requirements {
            let count = requirement.before[layers.end] - requirement.before[layers.first]
            if count < requirement.minimum {
                return "it has \(count == 0 ? "no" : "\(count)") \(requirement.name), and llama.cpp needs at least "
                    + "\(requirement.minimum)"
            }
        }
        for rule in firstLayers {
            let layer = rule.next[layers.first]
            if layer < layers.end, !rule.isRight[layer] { return rule.reason }
        }
        return forbiddenSizes.first { $0.sizes.contains(layers.count) }
            .map { "a stage of \(layers.count) layers is taken for another model: \($0.reason)" }
    }

    /// Whether `first ..< end` can be a stage: both ends allowed, and the stage itself.
    func isLegal(_ first: Int, _ end: Int) -> Bool {
        boundaryProblems[first] == nil && (end == layerCount || boundaryProblems[end] == nil)
            && problem(ofStage: LayerRange(first: first, end: end)) == nil
    }
}

extension ModelFacts {
    /// What every stage must contain.
    fileprivate var requirements: [StageRequirement] {
        var all = rules.requirements
        if rules.window != nil {
            all.append(StageRequirement(kind: .windowed, name: "layer with a sliding window"))
        }
        if rules.recurrence != nil {
            all.append(StageRequirement(kind: .attention, name: "attention layer"))
            all.append(StageRequirement(kind: .recurrent, name: "recurrent layer"))
        }
        return all
    }

    /// What every stage must start with.
    fileprivate var firstLayerRules: [FirstLayerRule] {
        var all = rules.firstLayers.filter { holds($0.condition) }
        if firstHeadCount > 0 {
            all.append(
                FirstLayerRule(
                    demand: .isKind(.positive("attention.head_count")),
                    reason: "its first layer has no attention heads, and llama.cpp takes the size of heads from there"))
        }
        if let window = rules.window, !window.allowsMixedRotation, holds(window.condition), holds(.rotationDiffers) {
            all.append(
                FirstLayerRule(
                    demand: .isLikeFirst(.windowed),
                    reason: "it starts with another kind of attention than the model, and llama.cpp takes the number "
                        + "of rotated dimensions from there"))
        }
        return all
    }

    fileprivate func problem(_ boundary: Int, _ rule: BoundaryRule) -> String? {
        switch rule {
        case .multiple(let number, let condition, let reason):
            let period = value(of: number)
            guard period > 1, boundary % period != 0, holds(condition) else { return nil }
            return "\(reason), so cuts must fall on multiples of \(period)"
        case .notBefore(let number, let reason):
            return boundary < value(of: number) ? reason : nil
        case .afterLastEntry(let key, let reason):
            guard let last = entries(key)?.lastIndex(where: { $0 >= 0 }) else { return nil }
            return boundary <= last ? reason : nil
        case .notWithinLast(let number, let margin, let reason):
            let count = value(of: number)
            return count > 0 && boundary > layerCount - count - margin ? reason : nil
        }
    }
}
