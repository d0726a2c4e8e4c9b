import Vocabulary

/// What a family's head for several tokens (MTP, NextN) must be like for the engine to guess with it: where it is not,
/// the engine's graph ends the process.
///
/// **Source:** the assertions of `graph_mtp` in llama.cpp's `src/models`; docs/decisions/0024 tells how the families
/// were tried.
struct HeadRules {
    /// Tensors that the head's layer must have.
    private let tensors: [String]
    /// Metadata that must be there and not be 0, without the family's name in front.
    private let positive: [String]
    /// Metadata that must be 0 or absent, arrays in all their values.
    private let absent: [String]

    private init(_ tensors: [String], positive: [String] = [], absent: [String] = []) {
        self.tensors = ["nextn.eh_proj", "nextn.enorm", "nextn.hnorm"] + tensors
        self.positive = positive
        self.absent = absent
    }

    /// Families whose heads guess in the whole model and on a last stage.
    private static let families: [String: HeadRules] = [
        "deepseek2": HeadRules(
            [
                "attn_q_a", "attn_q_a_norm", "attn_q_b", "attn_kv_a_mqa", "attn_kv_a_norm", "attn_k_b", "ffn_norm",
                "ffn_gate_inp", "ffn_down_exps", "ffn_gate_shexp", "ffn_down_shexp", "ffn_up_shexp",
            ], positive: ["attention.key_length_mla"], absent: ["attention.temperature_scale"]),
        "deepseek32": HeadRules(["ffn_gate_inp"], positive: ["attention.key_length_mla"]),
        "glm-dsa": HeadRules(["ffn_gate_inp"], positive: ["attention.key_length_mla"]),
        "glm4moe": HeadRules(["ffn_gate_inp"], absent: ["rope.dimension_sections"]),
        "hy_v3": HeadRules([]),
    ]

    /// Why a model's head cannot guess; nil when it can.
    static func obstacle(_ facts: ModelFacts) -> String? {
        let count = facts.unsigned("nextn_predict_layers") ?? 0
        guard count > 0 else { return "the file has no head for several tokens" }
        guard let rules = families[facts.architecture] else {
            return "heads for several tokens of the family \(facts.architecture) are not known to work"
        }
        guard count == 1 else { return "the file has \(count) heads for several tokens, and the engine takes one" }
        let prefix = "blk.\(facts.layerCount)."
        for tensor in rules.tensors where facts.file.tensor(named: "\(prefix)\(tensor).weight") == nil {
            return "its head for several tokens lacks \(prefix)\(tensor).weight"
        }
        for key in rules.positive where facts.unsigned(key) ?? 0 == 0 {
            return "\(facts.architecture).\(key) is missing, which heads of the family need"
        }
        for key in rules.absent where facts.isUsed(key) {
            return "\(facts.architecture).\(key) is used, which heads of the family do not know"
        }
        return nil
    }
}

extension ModelFacts {
    /// Whether `<architecture>.<key>` is there with a value, or one of several, that is not 0.
    fileprivate func isUsed(_ key: String) -> Bool {
        guard let value = file["\(architecture).\(key)"] else { return false }
        if let integers = value.array?.integers { return integers.contains { $0 != 0 } }
        return (value.integer.map(Double.init) ?? value.float) != 0
    }
}
