import CLlama
package import Serving

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The first thing in which a draft model's vocabulary differs from its target's: a draft's token must mean the same
/// text to both.
package enum VocabularyDifference: Error, Hashable, Sendable, CustomStringConvertible {
    /// The numbers of tokens.
    case size(draft: Int, model: Int)
    /// The text of a token.
    case token(Int32, draft: String, model: String)
    /// A token with a meaning of its own, such as the one that ends an answer; -1 is none.
    case special(name: String, draft: Int32, model: Int32)

    /// What differs, without the names of the files.
    package var description: String {
        switch self {
        case .size(let draft, let model): "it has \(draft) tokens and the model has \(model)"
        case .token(let token, let draft, let model):
            "token \(token) is '\(draft)' in the draft and '\(model)' in the model"
        case .special(let name, let draft, let model):
            "its \(name) token is \(draft) and that of the model is \(model)"
        }
    }

    /// Compares the vocabularies of two loaded models; nil when they agree.
    package static func between(draft: SharedModel, model: SharedModel) -> VocabularyDifference? {
        guard let draft = unsafe llama_model_get_vocab(draft.model.handle),
            let model = unsafe llama_model_get_vocab(model.model.handle)
        else { return nil }
        let sizes = unsafe (llama_vocab_n_tokens(draft), llama_vocab_n_tokens(model))
        if sizes.0 != sizes.1 { return .size(draft: Int(sizes.0), model: Int(sizes.1)) }
        for token in 0..<sizes.0 {
            let texts = unsafe (llama_vocab_get_text(draft, token), llama_vocab_get_text(model, token))
            guard let one = unsafe texts.0, let other = unsafe texts.1 else { continue }
            if unsafe strcmp(one, other) != 0 {
                return unsafe .token(token, draft: String(cString: one), model: String(cString: other))
            }
        }
        let specials = unsafe [
            ("BOS", llama_vocab_bos(draft), llama_vocab_bos(model)),
            ("EOS", llama_vocab_eos(draft), llama_vocab_eos(model)),
            ("EOT", llama_vocab_eot(draft), llama_vocab_eot(model)),
        ]
        for (name, one, other) in specials where one != other {
            return .special(name: name, draft: one, model: other)
        }
        return nil
    }

    /// Compares the vocabularies of two files without reading their weights; nil when they agree.
    ///
    /// **Throws:** `loadFailed` for a file that is no model.
    package static func between(draftPath: String, modelPath: String) throws(EngineError) -> VocabularyDifference? {
        var options = ModelOptions()
        options.vocabularyOnly = true
        return between(
            draft: SharedModel(try LlamaModel(path: draftPath, options: options)),
            model: SharedModel(try LlamaModel(path: modelPath, options: options)))
    }
}
