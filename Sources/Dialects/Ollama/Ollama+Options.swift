import Vocabulary

extension Ollama {
    /// The `options` field: Ollama's names beside all of llama.cpp's.
    enum Options {
        private static let int32Max = Int64(Int32.max)

        static let table = FieldTable(
            place: "options", SamplingFields.rules.filter { !replaced.contains($0.description.name) }, sampling, loading
        )

        /// Names that mean something else with Ollama, or have another range.
        private static let replaced: Set<String> = ["temperature"]

        /// What Ollama's documentation states for a request that names nothing. Its repeat penalty is not among them:
        /// Ollama's newer engine leaves it off, too.
        static func setDefaults(_ sampling: inout SamplingParameters) {
            sampling.temperature = 0.8
            sampling.topK = 40
            sampling.topP = 0.9
        }

        private static let sampling: [FieldRule] = [
            .decimal("temperature", \.request.sampling.temperature, 0...100, note: "0.8 by default"),
            FieldRule("num_predict", .mapped, "-2 … 2147483647; 0, -1 and -2 are no bound but the window") {
                (draft, field) throws(DialectError) in
                let count = try field.integer(in: -2...int32Max)
                draft.outputLimits.append(.init(field: field.name, value: count > 0 ? Int(count) : nil))
            },
            FieldRule("stop", .honoured, "a text or at most 16, of at most 256 bytes") {
                (draft, field) throws(DialectError) in
                draft.request.stop = try OutputFields.stopTexts(field, warnings: &draft.warnings)
            },
            FieldRule("tfs_z", .refused, "only 1, which is off") { (draft, field) throws(DialectError) in
                guard try field.number(in: 0...100) == 1 else {
                    throw .unsupportedValue(
                        field: field.name, value: field.node.text, remedy: "leave it out or use min_p or typical_p")
                }
            },
            .only(true, "penalize_newline", "put newline's token into logit_bias"),
            .refused("stop_token_ids", "use 'stop' with texts, or logit_bias"),
        ]

        private static let loading: [FieldRule] =
            ["num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "num_gqa"].map {
                count($0, "it is fixed when the model is deployed")
            }
            + ["numa", "low_vram", "f16_kv", "use_mmap", "use_mlock"].map {
                flag($0, "it is fixed when the model is deployed")
            } + [
                count("num_keep", "a prompt is never truncated"),
                .only(false, "logits_all", "use 'logprobs'"),
                .only(false, "vocab_only", "the whole model is loaded"),
                .only(false, "embedding_only", "the whole model is loaded"),
                .refused("rope_frequency_base", "deploy a model file that has it"),
                .refused("rope_frequency_scale", "deploy a model file that has it"),
            ]

        private static func count(_ name: String, _ why: String) -> FieldRule {
            FieldRule(name, .noted, why) { (draft, field) throws(DialectError) in
                _ = try field.integer(in: -1...int32Max)
                draft.warnings.add("'\(field.name)' has no effect: \(why).")
            }
        }

        private static func flag(_ name: String, _ why: String) -> FieldRule {
            FieldRule(name, .noted, why) { (draft, field) throws(DialectError) in
                _ = try field.bool()
                draft.warnings.add("'\(field.name)' has no effect: \(why).")
            }
        }
    }
}
