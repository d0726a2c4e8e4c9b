extension FamilyRules {
    /// The rules of a family; nil when llama.cpp's pinned list of families does not have it.
    package static func rules(for architecture: String) -> FamilyRules? {
        guard var rules = table[architecture] ?? (trivial.contains(architecture) ? FamilyRules() : nil) else {
            return nil
        }
        rules.needsOutput = needingOutput.contains(architecture)
        return rules
    }

    /// Every family with rules, in order of their names.
    package static var families: [String] { (Array(table.keys) + trivial).sorted() }

    /// Families that need more than the trivial rules.
    private static let table: [String: FamilyRules] = [
        refusedFamilies, waitingFamilies, doubtfulFamilies, injectedFamilies, windowedFamilies, hybridFamilies,
        indexedFamilies, otherFamilies,
    ].reduce(into: [:]) { table, group in
        table.merge(group) { _, _ in preconditionFailure("a family stands in two groups") }
    }

    /// Families cut by the trivial rules: rows as they are, any cut, arrays sliced by layer.
    private static let trivial = [
        "apertus", "arcee", "arctic", "bailingmoe", "bailingmoe2", "bitnet", "chatglm", "codeshell", "dbrx", "deepseek",
        "deepseek32", "dots1", "ernie4_5", "exaone", "falcon", "falcon-h1", "gptneox", "granitemoe", "grovemoe",
        "hunyuan-dense", "hunyuan-moe", "hy_v3", "internlm2", "jais", "jais2", "llama", "maincoder", "mamba", "mamba2",
        "minimax-m2", "mistral3", "nemotron", "olmo", "olmoe", "openelm", "orion", "pangu-embedded", "phi2", "phi3",
        "phimoe", "plamo", "pockettts", "qwen", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "refact", "seed_oss",
        "stablelm", "starcoder2", "xverse",
    ]

    /// Families whose loader insists on `output.weight`.
    ///
    /// **Source:** the `load_arch_tensors` functions of the pinned llama.cpp.
    private static let needingOutput = [
        "apertus", "arwkv7", "baichuan", "bailingmoe", "bailingmoe2", "codeshell", "dbrx", "deepseek4", "dots1",
        "exaone-moe", "glm5-next", "gpt-oss", "gptneox", "hy_v4", "internlm2", "jais", "kimi-linear", "maple", "mellum",
        "mimo2", "minimax-m2", "minimax-m3", "muse-glimmer", "nemotron", "olmo2", "olmoe", "orion", "phi2", "phimoe",
        "plamo", "qwen", "qwen2moe", "rwkv6", "rwkv6qwen2", "rwkv7", "stablelm", "step35", "talkie", "xverse",
    ]
}
