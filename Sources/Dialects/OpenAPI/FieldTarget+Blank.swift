import Vocabulary

// Empty targets, so that rules can be asked what they take.

extension RequestDraft {
    static var blank: RequestDraft { RequestDraft(id: RequestID(0)) }
}

extension Anthropic.MessageDraft {
    static var blank: Self { Self(id: RequestID(0)) }
}

extension Ollama.AnswerDraft {
    static var blank: Self { Self(id: RequestID(0)) }
}

extension Ollama.ModelDraft {
    static var blank: Self { Self() }
}

extension Ollama.CreateDraft {
    static var blank: Self { Self() }
}

extension Ollama.CreateDraft.MessageDraft {
    static var blank: Self { Self(warnings: Warnings()) }
}

extension Ollama.CopyDraft {
    static var blank: Self { Self() }
}

extension Ollama.Conversation.Draft {
    static var blank: Self { Self(warnings: Warnings()) }
}

extension Ollama.Conversation.Call {
    static var blank: Self { Self(warnings: Warnings()) }
}

extension Anthropic.Tools.Draft {
    static var blank: Self { Self(warnings: Warnings()) }
}

extension Anthropic.Tools.Choice {
    static var blank: Self { Self(warnings: Warnings()) }
}

extension Anthropic.Block {
    static var blank: Self { Self(warnings: Warnings()) }
}

extension Anthropic.MessageParts {
    static var blank: Self { Self(warnings: Warnings()) }
}

extension Anthropic.Thinking.Draft {
    static var blank: Self { Self(warnings: Warnings()) }
}

extension Anthropic.Thinking.OutputConfig {
    static var blank: Self { Self(warnings: Warnings()) }
}
