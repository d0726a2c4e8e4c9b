import Vocabulary

/// Answers what a family's rules ask of one model.
struct ModelFacts: Sendable {
    let file: GGUFFile
    let architecture: String
    let rules: FamilyRules
    /// Layers without the draft heads behind them.
    let layerCount: Int
    let embeddingLength: Int

    /// The metadata value `<architecture>.<key>`, when it is an integer of 0 or more.
    func unsigned(_ key: String) -> Int? { file.unsigned("\(architecture).\(key)").flatMap(Int.init(exactly:)) }

    /// The metadata value `<architecture>.<key>` for every layer, from one value or an array of them.
    func entries(_ key: String) -> [Int64]? { file.perLayer("\(architecture).\(key)", count: layerCount) }

    /// Whether `<architecture>.<key>` is an array.
    func isArray(_ key: String) -> Bool { file["\(architecture).\(key)"]?.array != nil }

    /// A family's number in this model.
    func value(of number: FamilyNumber) -> Int {
        switch number {
        case .constant(let value): value
        case .key(let key, let fallback): unsigned(key) ?? fallback
        }
    }

    /// Whether a condition holds for this model.
    func holds(_ condition: ModelCondition) -> Bool {
        switch condition {
        case .always: true
        case .atLeast(let number, let least): value(of: number) >= least
        case .layerCount(let counts): counts.contains(layerCount)
        case .layerCountAtLeast(let least): layerCount >= least
        case .vocabularySize(let size): vocabularySize == size
        case .tensor(let name): file.tensor(named: name) != nil
        case .rotationDiffers: unsigned("rope.dimension_count_swa").map { $0 != rotatedDimensions } ?? false
        case .all(let conditions): conditions.allSatisfy(holds)
        case .not(let condition): !holds(condition)
        }
    }

    /// Number of tokens, as the engine finds it.
    var vocabularySize: Int? {
        unsigned("vocab_size") ?? file.strings("tokenizer.ggml.tokens")?.count
            ?? file.tensor(named: "token_embd.weight")?.dimensions.last.flatMap(Int.init(exactly:))
    }

    /// Attention heads of the first layer, from which the engine derives sizes the file does not name.
    var firstHeadCount: Int { entries("attention.head_count")?.first.flatMap(Int.init(exactly:)) ?? 0 }

    /// The size of a head that the engine derives when the file names none; nil without heads.
    var headShare: Int? { firstHeadCount > 0 ? embeddingLength / firstHeadCount : nil }

    private var rotatedDimensions: Int? {
        unsigned("rope.dimension_count") ?? unsigned("attention.key_length") ?? headShare
    }

    /// For every layer, whether it is of a kind.
    func layers(_ kind: LayerKind) -> [Bool] {
        switch kind {
        case .windowed: windowed
        case .unwindowed: windowed.map { !$0 }
        case .recurrent: mixers.map { $0 == .recurrent }
        case .attention: mixers.map { $0 == .attention }
        case .entry(let key, let number): (entries(key) ?? none).map { $0 == Int64(number) }
        case .positive(let key): (entries(key) ?? none).map { $0 > 0 }
        case .indexer(let hasDefaultTable): indexers(hasDefaultTable)
        case .from(let number): (0..<layerCount).map { $0 >= value(of: number) }
        case .beforeLast(let number): (0..<layerCount).map { $0 < layerCount - value(of: number) }
        }
    }

    private var none: [Int64] { Array(repeating: 0, count: layerCount) }

    private var windowed: [Bool] {
        let key = "attention.sliding_window_pattern"
        guard let window = rules.window, holds(window.condition) else { return none.map { _ in false } }
        switch window.source {
        case .array: return (entries(key) ?? none).map { $0 != 0 }
        case .period(let fallback, let denseFirst):
            if isArray(key) { return (entries(key) ?? none).map { $0 != 0 } }
            let period = unsigned(key) ?? fallback
            guard period > 0 else { return none.map { _ in true } }
            return (0..<layerCount).map { denseFirst ? $0 % period != 0 : $0 % period < period - 1 }
        }
    }

    private enum Mixer {
        case recurrent
        case attention
        case neither
    }

    private var mixers: [Mixer] {
        switch rules.recurrence {
        case nil: return none.map { _ in .attention }
        case .interval(let fallback):
            if let listed = entries("attention.recurrent_layers") {
                return listed.map { $0 != 0 ? .recurrent : .attention }
            }
            let interval = max(1, unsigned("full_attention_interval") ?? fallback)
            return (0..<layerCount).map { ($0 + 1) % interval != 0 ? .recurrent : .attention }
        case .noKeyValueHeads:
            // Without the key every layer has as many of these heads as of the others.
            return (entries("attention.head_count_kv") ?? none.map { _ in 1 }).map { $0 == 0 ? .recurrent : .attention }
        case .noKeyValueHeadsNorFeedForward:
            let heads = entries("attention.head_count_kv") ?? none.map { _ in 1 }
            return zip(heads, entries("feed_forward_length") ?? none).map { heads, feedForward in
                if feedForward > 0 { return .neither }
                return heads == 0 ? .recurrent : .attention
            }
        }
    }

    private func indexers(_ hasDefaultTable: Bool) -> [Bool] {
        if let listed = entries("attention.indexer.types") { return listed.map { $0 != 0 } }
        guard hasDefaultTable, holds(.atLeast(.key("context_length", default: 0), Self.tableContextLength)) else {
            return none.map { _ in true }
        }
        // GLM 5.2: the first two layers, then one in four, 78 in all.
        return (0..<layerCount).map { $0 < 2 || ($0 < 78 && ($0 - 2) % 4 == 0) }
    }

    /// From this context length on, a model that lists no indexers follows the table of GLM 5.2.
    static let tableContextLength = 1_048_576
}
