import Vocabulary

extension FamilyRules {
    /// Families with sliding windows in some layers. llama.cpp aborts on a stage without any such layer.
    static let windowedFamilies: [String: FamilyRules] = [
        // The pattern is told by a period; a stage gets it written out.
        "cohere2": windowed(period: 4),
        "cohere2moe": windowed(period: 4, denseFirst: true),
        "exaone-moe": windowed(period: 4),
        "gpt-oss": windowed(period: 2),
        "laguna": windowed(period: 4, denseFirst: true, when: hasWindow),
        "mellum": windowed(period: 4, when: hasWindow),
        "olmo2": windowed(period: 4, when: hasWindow),
        "plamo3": windowed(period: 8, when: hasWindow),
        "muse-glimmer": windowed(period: 4) { $0.feed = .at("embd_norm") },
        "gemma3": windowed(period: 6, when: hasWindow) { $0.recognise27B(layers: 62) },
        "afmoe": windowed(period: 4, when: hasWindow) {
            $0.feed = .at("inp_embd_scaled")
            $0.boundaries = [.multiple(of: .constant(4), when: .always, reason: rotation)]
        },
        "smallthinker": windowed(period: 4, denseFirst: true, when: hasWindow) {
            $0.boundaries = [.multiple(of: .constant(4), when: hasWindow, reason: rotation)]
            $0.forbiddenSizes = [
                ForbiddenSizes(sizes: [4], condition: hasWindow, reason: "the engine rotates every layer of it")
            ]
        },
        "llama4": windowed(period: 4) {
            $0.boundaries = [
                .multiple(of: .constant(4), when: .always, reason: rotation),
                .multiple(of: .key("interleave_moe_layer_step", default: 1), when: .always, reason: experts),
            ]
            $0.modelRefusals = [
                ModelRefusal(
                    condition: .not(.atLeast(.key("attention.sliding_window", default: 1), 1)),
                    reason: "without windows the engine leaves a stage's last layer without rotation")
            ]
        },
        // The pattern stands in an array.
        "granite_swa": windowedByArray {
            $0.boundaries = [.afterLastEntry("deepstack_mapping", reason: "images enter in the layers up to there")]
            $0.metadata = [.removeAfterFirst("deepstack_mapping")]
        },
        "maple": windowedByArray(),
        "mimo2": windowedByArray(),
        "spark2_5": windowedByArray(),
        "step35": windowedByArray {
            $0.window?.allowsMixedRotation = true
            $0.residual = .fixed("h_nextn")
        },
        "dots3note": windowedByArray {
            $0.requirements = [StageRequirement(kind: .unwindowed, name: "layer without a sliding window")]
        },
        "gemma4": windowedByArray {
            $0.window?.allowsMixedRotation = true
            $0.modelRefusals = [
                ModelRefusal(
                    condition: .tensor("per_layer_token_embd.weight"),
                    reason: "its layers read embeddings of their own for every token, which must be restored behind "
                        + "the first layer")
            ]
            $0.boundaries = [
                .notWithinLast(
                    .key("attention.shared_kv_layers", default: 0), margin: 2,
                    reason: "the last layers share the memory of the two before them")
            ]
            $0.requirements = [
                StageRequirement(
                    kind: .beforeLast(.key("attention.shared_kv_layers", default: 0)), minimum: 2,
                    name: "layer with a memory of its own")
            ]
            $0.metadata = [.countFromEnd("attention.shared_kv_layers")]
            $0.sharedTensors = [.onlyWith(.unwindowed, "rope_freqs.weight")]
        },
    ]

    private static let hasWindow = ModelCondition.atLeast(.key("attention.sliding_window", default: 0), 1)
    /// Why layers without rotation bind cuts.
    static let rotation = "the engine finds the layers without rotation by their number"
    /// Why layers of experts bind cuts.
    static let experts = "the engine finds the layers with experts by their number"

    private static func windowed(
        period: Int, denseFirst: Bool = false, when condition: ModelCondition = .always,
        _ change: (inout FamilyRules) -> Void = { _ in }
    ) -> FamilyRules {
        FamilyRules {
            $0.window = WindowRule(source: .period(default: period, denseFirst: denseFirst), condition: condition)
            change(&$0)
        }
    }

    private static func windowedByArray(_ change: (inout FamilyRules) -> Void = { _ in }) -> FamilyRules {
        FamilyRules {
            $0.window = WindowRule(source: .array)
            change(&$0)
        }
    }
}
