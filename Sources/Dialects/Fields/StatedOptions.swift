/// Which fields of the dialects mean an option that a variant can have a default for.
enum StatedOptions {
    /// Ollama's name of the option, by the field's name in any dialect.
    static let names: [String: String] = {
        var names: [String: String] = [:]
        for rule in SamplingFields.rules where Set([.honoured, .mapped]).contains(rule.description.disposition) {
            names[rule.description.name] = rule.description.name
        }
        names["typ_p"] = "typical_p"
        names["repetition_penalty"] = "repeat_penalty"
        for field in ["num_predict", "max_tokens", "max_completion_tokens", "max_output_tokens", "n_predict"] {
            names[field] = "num_predict"
        }
        for field in ["stop", "stop_sequences"] { names[field] = "stop" }
        return names
    }()
}
