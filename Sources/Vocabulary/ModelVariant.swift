/// A model that was made here of another one: a name with defaults of its own.
///
/// What a request says itself counts; the variant fills in what it leaves open.
package struct ModelVariant: Hashable, Sendable, Codable {
    /// A message that stands in front of every conversation.
    package struct Turn: Hashable, Sendable, Codable {
        /// Who speaks: user, assistant or system.
        package var role: Message.Role
        /// The text.
        package var text: String

        /// Makes a message.
        package init(role: Message.Role, text: String) {
            self.role = role
            self.text = text
        }
    }

    /// A default of sampling or length.
    package struct Parameter: Hashable, Sendable, Codable {
        /// Its name among the options of Ollama's dialect.
        package var name: String
        /// Its value as JSON text.
        package var value: String

        /// Makes a default; `value` is JSON.
        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// The name clients use, without `:latest`.
    package var name: String
    /// The name of the model that answers, never that of another variant; of a model that came as a file, the name it
    /// is known by in the cluster.
    package var base: String
    /// Content digest of the file the model came as, lower-case hexadecimal SHA-256; nil for a variant of a model that
    /// is served anyway.
    package var digest: String?
    /// What the model is told in front of a conversation that has no system message; empty for nothing.
    package var system = ""
    /// Defaults, by ascending name, each once.
    package var parameters: [Parameter] = []
    /// Messages in front of every conversation.
    package var messages: [Turn] = []
    /// Licence; empty for the base's own.
    package var license = ""
    /// When it was made or changed. **Units:** seconds since 1970.
    package var created: Int64

    /// Makes a variant without defaults.
    package init(name: String, base: String, digest: String? = nil, created: Int64) {
        self.name = name
        self.base = base
        self.digest = digest
        self.created = created
    }

    /// A conversation as the model gets it: the request's own instructions, else the variant's, then the variant's
    /// messages, then the rest.
    package func begun(_ conversation: [Message]) -> [Message] {
        let isInstruction = { (message: Message) in message.role == .system || message.role == .developer }
        var front = Array(conversation.prefix(while: isInstruction))
        let rest = conversation.dropFirst(front.count)
        if !system.isEmpty, !conversation.contains(where: isInstruction) {
            front.append(Message(role: .system, text: system))
        }
        return front + messages.map { Message(role: $0.role, text: $0.text) } + rest
    }
}
