import Vocabulary

extension FamilyRules {
    /// Families that transform embeddings, or treat rows unlike tokens: the residual goes in over a node's data.
    static let injectedFamilies: [String: FamilyRules] = [
        // The embedding is multiplied by the root of its length, for rows too.
        "gemma": FamilyRules { $0.feed = .at("inp_scaled") },
        "gemma2": FamilyRules {
            $0.feed = .at("inp_scaled")
            $0.window = WindowRule(source: .period(default: 2, denseFirst: false))
            $0.recognise27B(layers: 46)
        },
        // 12 times the embedding; the residual's factor derives from the number of layers.
        "minicpm3": FamilyRules {
            $0.feed = .at("inp_scaled")
            $0.patches = [
                .scale(
                    [.prefix("hidden_scaled-"), .prefix("hidden_scaled_ffn-")], .overRootOfLayers(1.4), when: .always)
            ]
        },
        // Learned positions are added to the embedding.
        "gpt2": FamilyRules {
            $0.feed = .at("inpL")
            $0.sharedTensors = [.holeAfterFirst("position_embd.weight")]
        },
        "starcoder": FamilyRules {
            $0.feed = .at("inpL")
            $0.sharedTensors = [.holeAfterFirst("position_embd.weight")]
        },
        // Here the table is optional: without it rows are right.
        "mpt": FamilyRules { $0.sharedTensors = [.dropAfterFirst("position_embd.weight")] },
        // The embedding is normed.
        "bloom": FamilyRules { $0.feed = .at("inp_norm-0") },
        "rwkv6": FamilyRules {
            $0.feed = .inject(.operation("ADD", source: "token_embd_norm.bias"), realTokens: false)
            $0.boundaries = [
                .multiple(
                    of: .key("rescale_every_n_layers", default: 0), when: .always,
                    reason: "the residual is halved after every so many layers")
            ]
        },
        // Rows select the weights for images.
        "cogvlm": FamilyRules { $0.feed = .tokenGather },
        // Rows abort the engine when the file has no sections of positions.
        "glm4": FamilyRules { $0.feed = .tokenGather },
        "glm4moe": FamilyRules { $0.feed = .tokenGather },
        // A row would need four positions; a token has them by itself.
        "paddleocr": FamilyRules { $0.feed = .tokenGather },
        "hunyuan_vl": FamilyRules { $0.feed = .tokenGather },
        "qwen2vl": FamilyRules { $0.feed = .tokenGather },
        "qwen3vl": deepstack,
        "qwen3vlmoe": deepstack,
        "qwen3tts": FamilyRules {
            $0 = deepstack
            // The graph aborts when there are fewer tokens than the head has rows.
            $0.middleVocabulary = .full
        },
        // The factor has a key, which llama.cpp fills with another number when it is absent.
        "grok": FamilyRules { $0.metadata = [.oneAfterFirst("embedding_scale")] },
        "minicpm": FamilyRules {
            $0.metadata = [
                .oneAfterFirst("embedding_scale"), .fill("residual_scale", .overRootOfLayers(1.4), when: .always),
            ]
        },
    ]

    /// Images enter the first layers beside the embedding; those stay in the first stage.
    private static let deepstack = FamilyRules {
        $0.feed = .tokenGather
        $0.boundaries = [
            .notBefore(.key("n_deepstack_layers", default: 0), reason: "images enter in the layers up to there")
        ]
        $0.metadata = [.zeroAfterFirst("n_deepstack_layers")]
    }

    /// Gemma's largest model scales its attention otherwise, and llama.cpp knows it by its number of layers.
    mutating func recognise27B(layers: Int) {
        patches = [
            .scale(
                [.operation("SCALE", source: "Qcur-*")], .inverseRootOfHeadShare, when: .layerCount([layers]))
        ]
        forbiddenSizes = [
            ForbiddenSizes(sizes: [layers], reason: "the engine scales attention otherwise in one of that size")
        ]
    }
}
