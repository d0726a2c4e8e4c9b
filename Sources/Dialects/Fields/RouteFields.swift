/// The fields of one route's request and what becomes of them: the rows of docs/dialects.md, from the tables that the
/// decoders read by.
package struct RouteFields: Sendable {
    /// Method and path, `POST /v1/messages`.
    package let route: String
    /// The rows.
    package let fields: [FieldDescription]

    /// Messages of connections: the members beside those of a route's body.
    package static var messages: [RouteFields] {
        [RouteFields(route: "response.create over GET /v1/responses", fields: Responses.SocketMessage.fields)]
    }

    /// Every route with a request body, in the document's order. A dialect adds its routes here.
    package static var all: [RouteFields] {
        [
            RouteFields(route: "POST /v1/chat/completions", fields: OpenAI.ChatCompletion.fields),
            RouteFields(route: "POST /v1/completions", fields: OpenAI.Completion.fields),
            RouteFields(route: "POST /v1/embeddings", fields: EmbeddingCall.fields(.openAI)),
            RouteFields(route: "POST /v1/responses", fields: Responses.Request.fields),
            RouteFields(route: "POST /v1/responses/compact", fields: Responses.Compaction.fields),
            RouteFields(route: "POST /v1/messages", fields: Anthropic.MessageRequest.fields),
            RouteFields(route: "POST /v1/messages/count_tokens", fields: Anthropic.CountRequest.fields),
            RouteFields(route: "POST /api/generate", fields: Ollama.AnswerRequest.fields(.generate)),
            RouteFields(route: "POST /api/chat", fields: Ollama.AnswerRequest.fields(.chat)),
            RouteFields(route: "POST /api/embed", fields: EmbeddingCall.fields(.ollama)),
            RouteFields(route: "POST /api/embeddings", fields: EmbeddingCall.fields(.ollamaSingle)),
            RouteFields(route: "POST /api/show", fields: Ollama.ModelRequest.fields(.show)),
            RouteFields(route: "POST /api/pull", fields: Ollama.ModelRequest.fields(.pull)),
            RouteFields(route: "POST /api/create", fields: Ollama.CreateRequest.fields),
            RouteFields(route: "POST /api/copy", fields: Ollama.CopyRequest.fields),
            RouteFields(route: "DELETE /api/delete", fields: Ollama.ModelRequest.fields(.delete)),
        ]
            + LlamaServer.Call.Route.allCases.map {
                RouteFields(route: "POST \($0.path)", fields: LlamaServer.Call.fields($0))
            }
    }
}
