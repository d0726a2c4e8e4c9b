extension Responses {
    /// What a request says about its answer besides what to generate; most of it is repeated in the response object.
    struct Settings: Sendable {
        var instructions: String?
        var input: [Item] = []
        var previousID: String?
        var isStored = true
        var runsInBackground = false
        /// Whether `include` asks for reasoning in the form that survives every client.
        var includesSealedReasoning = false
        var truncates = false
        var metadata: [(key: String, value: String)] = []
        var maxToolCalls: Int64?
        var user: String?
        var safetyIdentifier: String?
        var promptCacheKey: String?
        var effort: String?
        var summary: String?
        var verbosity: String?
        /// `text.format`, `tool_choice` and `tools` as the response shows them, JSON.
        var format = Array(#"{"type":"text"}"#.utf8)
        var toolChoice = Array(#""auto""#.utf8)
        var tools = Array("[]".utf8)
        /// Functions of namespaces, by what the model calls them.
        var namespaced: [String: FunctionName] = [:]
    }
}
