import Vocabulary

extension FamilyRules {
    /// Families with recurrent layers beside attention. llama.cpp aborts on a stage that lacks either.
    static let hybridFamilies: [String: FamilyRules] = [
        "jamba": hybrid(.noKeyValueHeads),
        "lfm2": hybrid(.noKeyValueHeads),
        "lfm2moe": hybrid(.noKeyValueHeads),
        "kimi-linear": hybrid(.noKeyValueHeads),
        "granitehybrid": hybrid(.noKeyValueHeads),
        "bailingmoe3": hybrid(.noKeyValueHeads) { $0.feed = .tokenGather },
        "plamo2": hybrid(.noKeyValueHeads) { $0.residual = .perLayer("ffn_residual") },
        // `l_out` exists here too, but it is the feed-forward part before the residual is added.
        "nemotron_h": hybrid(.noKeyValueHeadsNorFeedForward) { $0.residual = .perLayer("nemotron_h_block_out") },
        "nemotron_h_moe": hybrid(.noKeyValueHeadsNorFeedForward) { $0.residual = .perLayer("nemotron_h_block_out") },
        "qwen3next": hybrid(.interval(default: 4)),
        "qwen35": hybrid(.interval(default: 4)) { $0.feed = .tokenGather },
        "qwen35moe": hybrid(.interval(default: 4)) { $0.feed = .tokenGather },
        // The decay of a layer derives from its place among all layers.
        "minimax-01": hybrid(.interval(default: 8)) {
            $0.patches = [.decay(named: ["slope_rate"], inputs: ["q_decay", "k_decay", "diag_decay"])]
        },
        // Several residual streams side by side.
        "glm5-next": hybrid(.noKeyValueHeads) {
            $0.feed = .at("hc_init")
            $0.widthFactor = streams
            $0.firstLayers = [
                FirstLayerRule(
                    among: .attention, demand: .isKind(.indexer(hasDefaultTable: false)), reason: sharedIndex)
            ]
        },
        "qwen4exp": hybrid(.interval(default: 4)) {
            $0.feed = .inject(.named("hc_init"), realTokens: true)
            $0.residual = .perLayer("l_last")
            $0.widthFactor = streams
            $0.middleVocabulary = .full
            $0.metadata = [.confine(prefix: "ple.", listKey: "layers", tensor: "per_layer_token_embd.weight")]
        },
    ]

    /// Families whose layers share indexes of earlier tokens, have hashed experts, or several residual streams.
    static let indexedFamilies: [String: FamilyRules] = [
        "glm-dsa": FamilyRules {
            $0.firstLayers = [
                FirstLayerRule(demand: .isKind(.indexer(hasDefaultTable: true)), reason: sharedIndex)
            ]
            $0.metadata = [
                .fillLayers(
                    "attention.indexer.types", .indexer(hasDefaultTable: true),
                    when: .atLeast(.key("context_length", default: 0), ModelFacts.tableContextLength))
            ]
        },
        "hy_v4": FamilyRules {
            $0.feed = .at("hc_init")
            $0.widthFactor = streams
            $0.firstLayers = [
                FirstLayerRule(
                    demand: .isKind(.indexer(hasDefaultTable: false)),
                    condition: .atLeast(.key("attention.indexer.top_k", default: 0), 1), reason: sharedIndex)
            ]
        },
        "deepseek4": FamilyRules {
            // Experts of the first layers are chosen by a hash of the token's id.
            $0.feed = .inject(.named("hc_init"), realTokens: true)
            $0.residual = .perLayer("l_last")
            $0.widthFactor = streams
            $0.middleVocabulary = .full
            $0.requirements = [
                StageRequirement(
                    kind: .entry("attention.compress_ratios", equals: 4), name: "layer that compresses by 4")
            ]
            $0.metadata = [.countFromStart("hash_layer_count")]
            $0.probesDraftHeads = true
        },
    ]

    private static let streams = FamilyNumber.key("hyper_connection.count", default: 1)
    private static let sharedIndex = "its first attention layer shares the index of an earlier layer"

    private static func hybrid(
        _ recurrence: RecurrenceRule, _ change: (inout FamilyRules) -> Void = { _ in }
    ) -> FamilyRules {
        FamilyRules {
            $0.recurrence = recurrence
            change(&$0)
        }
    }
}
