/// A request for generated text, in the one form every dialect is translated into.
package struct GenerationRequest: Sendable, Codable {
    /// What the model is asked.
    package enum Prompt: Sendable, Codable {
        /// A conversation, rendered by the model's own chat template.
        case chat([Message])
        /// Text, tokenised as it is.
        case text(String)
        /// Tokens, used as they are.
        case tokens([Token])
    }

    /// How reasoning ("thinking") is treated.
    package struct Reasoning: Hashable, Sendable, Codable {
        /// Ask the template to think or not; nil leaves it to the template.
        package var enabled: Bool?
        /// Upper bound of reasoning tokens; nil is unbounded.
        package var budget: Int?

        /// Makes a setting; nothing is fixed by default.
        package init(enabled: Bool? = nil, budget: Int? = nil) {
            self.enabled = enabled
            self.budget = budget
        }
    }

    /// Identity in every stage, log line and trace.
    package var id: RequestID
    /// The model as the client named it.
    package var model: String
    /// What the model is asked.
    package var prompt: Prompt
    /// How tokens are chosen.
    package var sampling = SamplingParameters()
    /// Upper bound of generated tokens; nil means up to the context window. 0 generates nothing: the prompt is rendered
    /// and tokenised, and the answer's end carries its token count.
    package var maxOutputTokens: Int?
    /// Texts that end the answer; they are not part of it.
    package var stop: [String] = []
    /// Tokens that end the answer beside those that end generation, also where these are ignored; they are not part of
    /// it. Nil for none.
    package var stopTokens: [Token]?
    /// Number of answers to the same prompt, at least 1.
    package var choiceCount = 1
    /// Number of alternatives reported per token; nil reports no log-probabilities.
    package var topLogprobs: Int?
    /// Tools the model may call.
    package var tools: [Tool] = []
    /// Whether tools may, must or must not be called.
    package var toolChoice = ToolChoice.auto
    /// Whether several tools may be called in one answer.
    package var parallelToolCalls = true
    /// The form the answer must have.
    package var responseFormat = ResponseFormat.text
    /// How reasoning is treated.
    package var reasoning = Reasoning()
    /// Extra variables of the chat template, name to JSON text, sorted by name.
    package var templateArguments: [TemplateArgument] = []
    /// Take over what an earlier prompt has in common with this one instead of computing it; nil does so unless a seed
    /// asks for an answer that can be had again, because kernels round a part of a prompt otherwise than all of it.
    package var reusesPrefix: Bool?
    /// Repeat the prompt at the start of the answer (completions).
    package var echo = false
    /// Send the answer's tokens along with its pieces, so that it can go on elsewhere.
    package var keepsJournal = false
    /// Tokens of each choice that were answered elsewhere before: the answer goes on behind them, and tells nothing of
    /// them again. Empty for an answer from its beginning.
    package var answered: [[Token]] = []
    /// What it may do to how long its model is loaded; nil for nothing. For the node that takes it, not for runners.
    package var residency: Residency?
    /// Names of the options the client gave itself, in Ollama's words; a variant's defaults leave them alone. For the
    /// node that takes the request, not for runners.
    package var stated: Set<String>?

    /// Whose request it is, so that waiting ones take fair turns: a name that only has to differ from others'. Nil for
    /// those who cannot be told apart.
    package var caller: String?
    /// Time it may take until its end, waiting included; nil for as long as it needs. **Units:** seconds.
    package var timeoutSeconds: Double?
    /// How much of that has passed, when it was on its way for a while; nil for none. **Units:** seconds.
    package var elapsedSeconds: Double?
    /// Make one vector of the prompt and no text; nil generates.
    package var embedding: EmbeddingWish?
    /// Tell what becomes of the prompt and answer nothing; nil answers.
    package var inspection: Inspection?

    /// Whether an image stands in the conversation.
    package var hasImages: Bool {
        guard case .chat(let messages) = prompt else { return false }
        return messages.contains { $0.images?.isEmpty == false }
    }

    /// Makes a request with default settings.
    package init(id: RequestID, model: String, prompt: Prompt) {
        self.id = id
        self.model = model
        self.prompt = prompt
    }
}

/// What a request for a vector wants beside its prompt.
package struct EmbeddingWish: Hashable, Sendable, Codable {
    /// Shorten a prompt that is longer than the window instead of refusing it.
    package var truncates: Bool

    /// Makes a wish.
    package init(truncates: Bool = false) { self.truncates = truncates }
}

/// What a request may do to how long its model is loaded.
package struct Residency: Hashable, Sendable, Codable {
    /// Whether a model that the cluster has and does not serve may be deployed for it.
    package var mayDeploy: Bool
    /// How long the model stays loaded after it from now on; nil leaves that as it is.
    package var keepAlive: KeepAlive?

    /// Makes a permission.
    package init(mayDeploy: Bool, keepAlive: KeepAlive? = nil) {
        self.mayDeploy = mayDeploy
        self.keepAlive = keepAlive
    }
}

/// How long a model stays loaded after a request.
package enum KeepAlive: Hashable, Sendable, Codable {
    /// Not at all: it is unloaded when the request has ended.
    case unload
    /// So long. **Units:** milliseconds, at least 1.
    case milliseconds(UInt64)
    /// Until somebody unloads it.
    case forever
}

/// A variable handed to the chat template.
package struct TemplateArgument: Hashable, Sendable, Codable {
    /// The variable's name.
    package var name: String
    /// Its value as JSON text.
    package var value: String

    /// Makes a variable.
    package init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}
