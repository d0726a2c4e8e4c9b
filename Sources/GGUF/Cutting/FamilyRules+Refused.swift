extension FamilyRules {
    /// Families that cannot be staged on stock llama.cpp.
    static let refusedFamilies: [String: FamilyRules] = [
        "clip": refused("it is a vision projector and has no text layers"),
        "gptj": refused("llama.cpp knows its name but cannot run it"),
        "bert": refused(encoder),
        "modern-bert": refused(encoder),
        "nomic-bert": refused(encoder),
        "nomic-bert-moe": refused(encoder),
        "neo-bert": refused(encoder),
        "jina-bert-v2": refused(encoder),
        "jina-bert-v3": refused(encoder),
        "eurobert": refused(encoder),
        "gemma-embedding": refused(encoder),
        "llama-embed": refused(encoder),
        "t5encoder": refused(encoder),
        "t5": refused("its decoder looks at an encoder that runs in the same context"),
        "wavtokenizer-dec": refused("it decodes audio and is no stack of residual layers"),
        "dream": refused(diffusion),
        "llada": refused(diffusion),
        "llada-moe": refused(diffusion),
        "rnd1": refused(diffusion),
        "eagle3": refused("it is a draft head bound to the context of another model"),
        "dflash": refused("it is a draft head bound to the context of another model"),
        "gemma4-assistant": refused("it is a draft head that shares the memory of another model's context"),
        "hrm_text": refused("it runs the same layers several times per token, each time with a memory of its own"),
        "kimi-k3": refused("every layer mixes the residuals of all earlier ones, which a later stage does not have"),
        "gemma3n": refused("layers 10 and 20 are fixed by number, and later ones reuse the memory of earlier ones"),
        "graniteswitch": refused("every stage would need the router of adapters, which is a layer that reads ids"),
    ]

    /// Families that can be staged in principle, but not by what a `StageRecipe` can say.
    static let waitingFamilies: [String: FamilyRules] = [
        "talkie": refused("every layer adds the token embedding again, which must be restored behind the first layer"),
        "rwkv7": refused("every layer mixes in a value of the very first one, which must travel along"),
        "arwkv7": refused("every layer mixes in a value of the very first one, which must travel along"),
    ]

    /// Families that could not be measured with the pinned llama.cpp; they count as unknown.
    static let doubtfulFamilies: [String: FamilyRules] = [
        "deepseek2-ocr": FamilyRules { $0.doubt = "no test model of it could be built" },
        "plm": FamilyRules { $0.doubt = "the pinned llama.cpp aborts on it even uncut" },
        "rwkv6qwen2": FamilyRules { $0.doubt = "no test model of it could be built" },
    ]

    private static let encoder = "it reads a whole text at once and has no memory that stages could keep"
    private static let diffusion = "it computes the whole text anew in every step, in both directions"
}
