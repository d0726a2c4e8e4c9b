/// Bounds of everything a client can send and of what is kept while an answer is put together.
///
/// Each is checked before anything of that size is allocated; a request beyond one is refused with the limit and
/// the value it had.
package enum Limits {
    // MARK: JSON

    /// Longest request body. **Units:** bytes.
    package static let bodyBytes = 32 << 20
    /// Deepest nesting of arrays and objects.
    package static let jsonDepth = 64
    /// Most values (scalars, arrays, objects) in one body; bounds the memory of the tree to about 100 MB.
    package static let jsonNodes = 1 << 20
    /// Most members of one object.
    package static let objectMembers = 4096
    /// Longest number. **Units:** bytes.
    package static let numberBytes = 256

    // MARK: Requests

    /// Most messages of a conversation.
    package static let messages = 4096
    /// Most parts of one message's content.
    package static let contentParts = 1024
    /// Images of one request.
    package static let images = 16
    /// An image file. **Units:** bytes.
    package static let imageBytes = 10 << 20
    /// Pixels of an image.
    package static let imagePixels = 1 << 24
    /// Most tool calls in one message.
    package static let messageToolCalls = 512
    /// Longest tool-call id. **Units:** bytes.
    package static let toolCallIDBytes = 256
    /// Most tools offered.
    package static let tools = 512
    /// Longest name of a tool, function or schema. **Units:** bytes.
    package static let nameBytes = 64
    /// Longest description of a tool. **Units:** bytes.
    package static let descriptionBytes = 64 << 10
    /// Longest JSON Schema. **Units:** bytes, written compactly.
    package static let schemaBytes = 256 << 10
    /// Most different references in a JSON Schema.
    package static let schemaReferences = 500
    /// Longest reference in a JSON Schema. **Units:** bytes.
    package static let schemaReferenceBytes = 1024
    /// Longest name of a property in a JSON Schema. **Units:** bytes.
    package static let schemaNameBytes = 256
    /// Most properties of an object that are not required. What a grammar for them takes grows with the third power, so
    /// all objects of a request together may have as many cubed.
    package static let schemaOptionals = 256
    /// Most comparisons when an answer is held against a schema; references may go in circles.
    package static let schemaSteps = 100_000
    /// Most schemas inside each other that an answer is held against.
    package static let schemaDepth = 256
    /// Most items of an array that are compared with each other.
    package static let uniqueItems = 256
    /// Largest upper bound of a repetition that a grammar enforces: the engine takes a larger one for none.
    package static let grammarRepetitions = 2000
    /// Longest GBNF grammar. **Units:** bytes.
    package static let grammarBytes = 256 << 10
    /// Longest model name. **Units:** bytes.
    package static let modelBytes = 256
    /// Most stop texts.
    package static let stopTexts = 16
    /// Longest stop text. **Units:** bytes.
    package static let stopTextBytes = 256
    /// Most token ids in `stop_token_ids`.
    package static let stopTokens = 64
    /// Most corrected tokens in `logit_bias`.
    package static let logitBiases = 1024
    /// Most alternatives per token (chat).
    package static let topLogprobs = 20
    /// Most alternatives per token (completions).
    package static let completionLogprobs = 5
    /// Most answers to one prompt.
    package static let choices = 128
    /// Most prompts of one request (completions); with `n` there are at most `choices` answers in all.
    package static let completionPrompts = 128
    /// Most variables handed to the chat template.
    package static let templateArguments = 64
    /// Longest value of one template variable. **Units:** bytes, written compactly.
    package static let templateArgumentBytes = 64 << 10
    /// Most DRY sequence breakers.
    package static let dryBreakers = 16
    /// Longest DRY sequence breaker. **Units:** bytes.
    package static let dryBreakerBytes = 64
    /// Longest short text of a field that is only checked, such as `user`. **Units:** bytes.
    package static let labelBytes = 1024
    /// Longest name of a tool in Anthropic's dialect, as Anthropic states it. **Units:** bytes.
    package static let anthropicNameBytes = 128
    /// Smallest budget of thinking, as Anthropic states it. **Units:** tokens.
    package static let thinkingBudgetTokens = 1024
    /// Tokens of thinking an effort stands for, where the request names no budget; more effort is not bounded.
    package static let reasoningBudgets = ["minimal": 512, "low": 2048, "medium": 8192]
    /// Longest duration written as text, `1h30m`. **Units:** bytes.
    package static let durationBytes = 64
    /// Highest temperature, as OpenAI states it.
    package static let temperature = 2.0

    // MARK: Embeddings

    /// Most inputs of one request for embeddings, as OpenAI states it.
    package static let embeddingInputs = 2048
    /// Most dimensions that can be asked for.
    package static let embeddingDimensions = 65_536

    // MARK: Models made here

    /// Longest Modelfile. **Units:** bytes.
    package static let modelfileBytes = 1 << 20
    /// Longest default of one option. **Units:** bytes of JSON.
    package static let parameterBytes = 64 << 10
    /// Longest system message, or message in front of conversations, of a variant. **Units:** bytes.
    package static let variantTextBytes = 256 << 10
    /// Most messages in front of conversations.
    package static let variantMessages = 256
    /// Longest template that is compared with the model's own. **Units:** bytes.
    package static let templateBytes = 1 << 20
    /// Most licences, and their bytes together.
    package static let licenses = 64
    /// Longest licence. **Units:** bytes.
    package static let licenseBytes = 256 << 10
    /// Most files named in one request.
    package static let files = 64
    /// Longest name of a file. **Units:** bytes.
    package static let fileNameBytes = 4096

    // MARK: Inspections

    /// Most texts and tokens of one text to be tokenised.
    package static let tokenizedParts = 1 << 16
    /// Longest text to be tokenised. **Units:** bytes.
    package static let tokenizedBytes = 4 << 20
    /// Most tokens whose text is asked for.
    package static let detokenizedTokens = 1 << 18

    // MARK: Responses

    /// Most pairs of a response's metadata.
    package static let metadataPairs = 16
    /// Longest key of metadata. **Units:** Unicode scalars.
    package static let metadataKeyCharacters = 64
    /// Longest value of metadata. **Units:** Unicode scalars.
    package static let metadataValueCharacters = 512
    /// Most entries of `include`.
    package static let includes = 16
    /// Most responses that follow each other by `previous_response_id`.
    package static let responseChain = 256
    /// Largest kept response object or list of input items. **Units:** bytes; a request and an answer always fit.
    package static let recordBytes = 256 << 20
    /// Most items on one page of a list.
    package static let pageItems = 100

    // MARK: Answers

    /// Largest answer that is put together in memory when the client does not stream. **Units:** bytes.
    package static let answerBytes = 64 << 20
    /// Most tool calls in one answer.
    package static let answerToolCalls = 1024
    /// Most warnings kept for one request.
    package static let warnings = 32
    /// Longest value of the warnings' header. **Units:** bytes.
    package static let warningHeaderBytes = 2048
    /// Longest piece of a client's value that is quoted in an error. **Units:** Unicode scalars.
    package static let quotedCharacters = 64
}
