package import Vocabulary

/// Answers requests that only want to know what becomes of a prompt.
package struct PromptInspector {
    private let tokenizer: any Tokenizer
    private let renderer: any PromptRenderer

    /// Asks a vocabulary and a template.
    package init(tokenizer: any Tokenizer, renderer: any PromptRenderer) {
        self.tokenizer = tokenizer
        self.renderer = renderer
    }

    /// All events of the answer: the start with the number of tokens it is about, one piece, the end.
    ///
    /// **Throws:** `invalidField` for texts and answers beyond the limits and tokens outside the vocabulary; what the
    /// template throws.
    package func answer(
        _ inspection: Inspection, of request: GenerationRequest
    ) throws(GenerationError) -> [GenerationEvent] {
        var delta = OutputDelta()
        var count = 0
        switch inspection {
        case .tokens(let parts, let addsSpecial, let parsesSpecial):
            delta.tokens = try entries(parts, addsSpecial, parsesSpecial)
            count = delta.tokens.count
        case .text:
            guard case .tokens(let tokens) = request.prompt else {
                throw .unsupported(feature: "The text of what is no list of tokens", remedy: "send tokens")
            }
            delta.text = try text(of: tokens)
            count = tokens.count
        case .template:
            delta.text = try renderer.text(of: request)
        }
        let end = Completion(
            finishReasons: [.stop], stopTexts: [nil], usage: Usage(promptTokens: count, outputTokens: 0),
            timings: Timings(queueSeconds: 0, prefillSeconds: 0, decodeSeconds: 0))
        return [.started(promptTokens: count, cachedTokens: 0), .output(delta), .finished(end)]
    }

    private func entries(
        _ parts: [Inspection.Part], _ addsSpecial: Bool, _ parsesSpecial: Bool
    ) throws(GenerationError) -> [TokenText] {
        var entries: [TokenText] = []
        var bytes = 0
        for (index, part) in parts.enumerated() {
            let tokens: [Token]
            switch part {
            case .token(let token):
                try check(token, field: "content[\(index)]")
                tokens = [token]
            case .text(let text):
                do throws(GenerationError) {
                    tokens = try tokenizer.tokens(
                        of: text, addsSpecial: addsSpecial && index == 0, parsesSpecial: parsesSpecial)
                } catch {
                    guard case .invalidField(_, let value, let limit) = error else { throw error }
                    throw .invalidField(name: "content", value: value, limit: limit)
                }
            }
            for token in tokens {
                let text = tokenizer.text(of: token)
                bytes += text.count
                try check(entries.count + 1, bytes, field: "content")
                entries.append(TokenText(token: token, bytes: text))
            }
        }
        return entries
    }

    private func text(of tokens: [Token]) throws(GenerationError) -> String {
        var bytes: [UInt8] = []
        for (index, token) in tokens.enumerated() {
            try check(token, field: "tokens[\(index)]")
            bytes += tokenizer.text(of: token)
            try check(index + 1, bytes.count, field: "tokens")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func check(_ token: Token, field: String) throws(GenerationError) {
        guard token >= 0, Int(token) < tokenizer.vocabularySize else {
            throw .invalidField(
                name: field, value: "token \(token)", limit: "tokens are 0 … \(tokenizer.vocabularySize - 1)")
        }
    }

    private func check(_ tokens: Int, _ bytes: Int, field: String) throws(GenerationError) {
        guard tokens <= Limits.inspectedTokens else {
            throw .invalidField(
                name: field, value: "\(tokens) tokens", limit: "at most \(Limits.inspectedTokens) are told at once")
        }
        guard bytes <= Limits.inspectedBytes else {
            throw .invalidField(
                name: field, value: "\(bytes) bytes", limit: "at most \(Limits.inspectedBytes) are told at once")
        }
    }
}
