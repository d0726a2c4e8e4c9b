extension FamilyRules {
    /// Families with a rule or two of their own.
    static let otherFamilies: [String: FamilyRules] = [
        "smollm3": FamilyRules {
            $0.boundaries = [
                .multiple(of: .constant(4), when: .always, reason: rotation)
            ]
        },
        "ernie4_5-moe": FamilyRules {
            $0.boundaries = [
                .multiple(of: .key("interleave_moe_layer_step", default: 1), when: .always, reason: experts)
            ]
        },
        // Layers without attention are handled by the rule that every stage starts with heads where the model does.
        "deci": FamilyRules(),
        "granite": FamilyRules {
            $0.boundaries = [.afterLastEntry("deepstack_mapping", reason: "images enter in the layers up to there")]
            $0.metadata = [.removeAfterFirst("deepstack_mapping")]
        },
        "minimax-m3": FamilyRules {
            $0.requirements = [
                StageRequirement(
                    kind: .from(.key("leading_dense_block_count", default: 0)), name: "layer with sparse attention")
            ]
        },
        // Image ids are suppressed in the logits by their number.
        "chameleon": FamilyRules { $0.middleVocabulary = .full },
        // Rotation or linear biases are chosen by the number of layers; these families have the same graphs.
        "baichuan": FamilyRules {
            $0.renamings = [
                Renaming(condition: .layerCount([32]), architecture: "llama"),
                Renaming(condition: .layerCount([40]), architecture: "refact"),
            ]
            $0.forbiddenSizes = [
                ForbiddenSizes(
                    sizes: [32, 40], condition: .not(.layerCount([32, 40])),
                    reason: "the engine encodes positions otherwise in one of that size")
            ]
        },
        "command-r": FamilyRules {
            $0.modelRefusals = [
                ModelRefusal(
                    condition: .layerCountAtLeast(64),
                    reason: "the engine norms queries and keys only in models of 64 layers and more")
            ]
        },
        "exaone4": FamilyRules {
            $0.modelRefusals = [
                ModelRefusal(
                    condition: .layerCount([64]),
                    reason: "the engine uses windows and leaves out rotation only in a model of 64 layers")
            ]
            $0.forbiddenSizes = [
                ForbiddenSizes(sizes: [64], reason: "the engine uses windows in one of that size")
            ]
        },
        "nanbeige": FamilyRules {
            $0.modelRefusals = [
                ModelRefusal(
                    condition: .atLeast(.key("num_loops", default: 1), 2),
                    reason: "it runs the same layers several times per token")
            ]
        },
        "deepseek2": latent,
        "mistral4": latent,
    ]

    /// DeepSeek 2 and its kin: the engine recognises small models by their number of layers.
    private static let latent = FamilyRules {
        let isSmall = ModelCondition.all([.layerCount([48]), .vocabularySize(128_256)])
        let reason = "the engine recognises it by its number of layers"
        $0.modelRefusals = [
            ModelRefusal(condition: .layerCount([26, 27]), reason: reason),
            ModelRefusal(condition: isSmall, reason: reason),
        ]
        $0.forbiddenSizes = [
            ForbiddenSizes(sizes: [26, 27], reason: "the engine expects no compressed queries in one of that size"),
            ForbiddenSizes(
                sizes: [48], condition: .vocabularySize(128_256),
                reason: "the engine expects no compressed queries in one of that size"),
        ]
        $0.metadata = [
            // 2 is a sigmoid, 1 a softmax.
            .fill(
                "expert_gating_func", .unsigned(2),
                when: .all([.layerCount([47, 48]), .vocabularySize(154_880)])),
            .fill("expert_gating_func", .unsigned(1), when: .always),
        ]
    }
}
