import Vocabulary

extension APIRoute {
    /// Every route, in the document's order.
    package static let all: [APIRoute] = openAI + embeddings + responses + anthropic + ollama + inspections + operations

    private static let chatExample = #"{"model":"skein-tiny","messages":[{"role":"user","content":"Hello"}]}"#

    private static func json(_ schema: String, _ note: String = "The answer.") -> Answer {
        Answer(content: [("application/json", reference(schema))], note: note)
    }

    /// An answer in one body, or with `stream` a stream of the given type.
    private static func answer(_ schema: String, stream: String) -> Answer {
        Answer(
            content: [("application/json", reference(schema)), (stream, #"{"type":"string"}"#)],
            note: "The answer; with 'stream' as a stream, which ends with an error event when the answer fails.")
    }

    private static func reference(_ name: String) -> String { ##"{"$ref":"#/components/schemas/\##(name)"}"## }

    private static let events = "text/event-stream"
    private static let lines = "application/x-ndjson"

    private static func path(_ name: String, _ note: String) -> Parameter {
        Parameter(name: name, place: "path", schema: #"{"type":"string","minLength":1}"#, note: note)
    }

    private static func query(_ name: String, _ schema: String, _ note: String) -> Parameter {
        Parameter(name: name, place: "query", schema: schema, note: note)
    }

    // MARK: Groups

    private static let openAI: [APIRoute] = [
        APIRoute(
            "GET", "/v1/models", .openAI, "The models this node can answer for, with their state.",
            answers: [json("ModelList")]),
        APIRoute(
            "GET", "/v1/models/{model}", .openAI, "One model; its name may have slashes.",
            parameters: [path("model", "The model's name.")], answers: [json("Model")],
            errors: [.modelNotFound, .modelAmbiguous, .invalidValue]),
        APIRoute(
            "POST", "/v1/chat/completions", .openAI, "Answers a conversation.",
            body: Body(example: chatExample) { body throws(DialectError) in
                _ = try OpenAI.ChatCompletion.decode(body, id: RequestID(0))
            }, answers: [answer("ChatCompletion", stream: events)], errors: answering),
        APIRoute(
            "POST", "/v1/completions", .openAI, "Continues a text.",
            body: Body(example: #"{"model":"skein-tiny","prompt":"Once"}"#) { body throws(DialectError) in
                _ = try OpenAI.Completion.decode(body, id: RequestID(0))
            }, answers: [answer("Completion", stream: events)], errors: answering),
    ]

    private static func embedding(
        _ path: String, _ dialect: Dialect, _ route: EmbeddingCall.Route, _ example: String, _ schema: String
    ) -> APIRoute {
        APIRoute(
            "POST", path, dialect, "Texts as vectors; 501 where the served models make none.",
            body: Body(example: example) { body throws(DialectError) in
                _ = try EmbeddingCall.decode(body, route: route, id: RequestID(0))
            }, answers: [json(schema)], errors: answering + [.notImplemented])
    }

    private static let embeddings: [APIRoute] = [
        embedding(
            "/v1/embeddings", .openAI, .openAI, #"{"model":"skein-tiny","input":["Hello"]}"#, "EmbeddingList"),
        embedding("/api/embed", .ollama, .ollama, #"{"model":"skein-tiny","input":["Hello"]}"#, "Embeddings"),
        embedding(
            "/api/embeddings", .ollama, .ollamaSingle, #"{"model":"skein-tiny","prompt":"Hello"}"#, "SingleEmbedding"),
    ]

    private static let chain: [ErrorCode] = [
        .previousNotFound, .previousRunning, .chainTooLong, .itemNotFound, .storageAbsent, .storageFailed,
        .storedResponseDamaged,
    ]
    private static let kept: [ErrorCode] = [
        .responseNotFound, .storageFailed, .storageFull, .storedResponseDamaged, .invalidValue, .invalidType,
        .integerTooSmall, .integerTooLarge, .unsupportedParameter,
    ]
    private static let identity = path("id", "The response's identity.")

    private static let responses: [APIRoute] = [
        APIRoute(
            "POST", "/v1/responses", .openAI, "Answers a conversation, and keeps the answer.",
            body: Body(example: #"{"model":"skein-tiny","input":"Hello"}"#) { body throws(DialectError) in
                _ = try Responses.Request.decode(body, id: RequestID(0))
            }, answers: [answer("Response", stream: events)],
            errors: answering + chain + [.tooManyInBackground, .storageFull]),
        APIRoute(
            "GET", "/v1/responses", .openAI,
            "A WebSocket: 'response.create' messages with the fields of POST, one response after the other.",
            answers: [Answer(status: 101, content: [], note: "The WebSocket is open; each event is a text message.")],
            errors: [.badHandshake]),
        APIRoute(
            "POST", "/v1/responses/compact", .openAI, "Puts a conversation into few words.",
            body: Body(example: #"{"model":"skein-tiny","input":"Hello"}"#) { body throws(DialectError) in
                _ = try Responses.Compaction.decode(body, id: RequestID(0))
            }, answers: [json("Compaction")], errors: answering + chain),
        APIRoute(
            "GET", "/v1/responses/{id}", .openAI,
            "A kept response, or with 'stream' the events of one in the background.",
            parameters: [
                identity, query("stream", #"{"type":"boolean"}"#, "Follow the events."),
                query("starting_after", #"{"type":"integer","minimum":0}"#, "The last event that was seen."),
            ], answers: [answer("Response", stream: events)], errors: kept + [.eventsNotKept, .conflictingParameters]),
        APIRoute(
            "DELETE", "/v1/responses/{id}", .openAI, "Ends and forgets a response.", parameters: [identity],
            answers: [json("DeletedResponse")], errors: kept),
        APIRoute(
            "POST", "/v1/responses/{id}/cancel", .openAI, "Ends a response in the background.", parameters: [identity],
            answers: [json("Response")], errors: kept + [.notInBackground]),
        APIRoute(
            "GET", "/v1/responses/{id}/input_items", .openAI, "What a response was asked.",
            parameters: [
                identity, query("limit", #"{"type":"integer","minimum":1,"maximum":100}"#, "Most items of the page."),
                query("order", #"{"type":"string","enum":["asc","desc"]}"#, "Oldest or newest first."),
                query("after", #"{"type":"string"}"#, "The last item of the page before."),
            ], answers: [json("ItemList")], errors: kept + [.itemNotFound]),
    ]

    private static let anthropic: [APIRoute] = [
        APIRoute(
            "POST", "/v1/messages", .anthropic, "Answers a conversation.",
            body: Body(
                example: #"{"model":"skein-tiny","max_tokens":64,"messages":[{"role":"user","content":"Hello"}]}"#
            ) { body throws(DialectError) in
                _ = try Anthropic.MessageRequest.decode(body, id: RequestID(0))
            }, answers: [answer("Message", stream: events)], errors: answering),
        APIRoute(
            "POST", "/v1/messages/count_tokens", .anthropic, "Counts the tokens of a conversation.",
            body: Body(example: chatExample) { body throws(DialectError) in
                _ = try Anthropic.CountRequest.decode(body, id: RequestID(0))
            }, answers: [json("TokenCount")], errors: answering),
    ]

    private static func answering(_ route: Ollama.Route, _ example: String) -> Body {
        Body(example: example) { body throws(DialectError) in
            _ = try Ollama.AnswerRequest.decode(body, route: route, id: RequestID(0))
        }
    }

    private static func about(
        _ route: Ollama.ModelRequest.Route, _ example: String = #"{"model":"skein-tiny"}"#
    ) -> Body {
        Body(example: example) { body throws(DialectError) in
            _ = try Ollama.ModelRequest.decode(body, route: route)
        }
    }

    private static let digest = path("digest", "'sha256:' and 64 hexadecimal digits.")

    private static let ollama: [APIRoute] = [
        APIRoute(
            "POST", "/api/generate", .ollama, "Answers a prompt.",
            body: answering(.generate, #"{"model":"skein-tiny","prompt":"Hello"}"#),
            answers: [answer("GenerateAnswer", stream: lines)], errors: answering + [.notImplemented]),
        APIRoute(
            "POST", "/api/chat", .ollama, "Answers a conversation.", body: answering(.chat, chatExample),
            answers: [answer("ChatAnswer", stream: lines)], errors: answering + [.notImplemented]),
        APIRoute(
            "POST", "/api/show", .ollama, "What is known about a model.", body: about(.show),
            answers: [json("ShownModel")], errors: decoding + [.modelNotFound, .modelAmbiguous]),
        APIRoute(
            "POST", "/api/pull", .ollama, "Loads a model of the cluster; succeeds when it is ready.",
            body: about(.pull),
            answers: [answer("Status", stream: lines)], errors: answering),
        APIRoute(
            "POST", "/api/create", .ollama, "Makes a model of another one, or of an uploaded file.",
            body: Body(example: #"{"model":"mine","from":"skein-tiny","system":"Be brief."}"#) {
                body throws(DialectError) in
                _ = try Ollama.CreateRequest.decode(body)
            }, answers: [answer("Status", stream: lines)],
            errors: decoding + [
                .modelNotFound, .modelAmbiguous, .modelNotReady, .modelNameTaken, .tooManyModels, .modelFileRefused,
                .modelStorageFailed, .notImplemented,
            ]),
        APIRoute(
            "POST", "/api/copy", .ollama, "Gives a model another name.",
            body: Body(example: #"{"source":"skein-tiny","destination":"other"}"#) { body throws(DialectError) in
                _ = try Ollama.CopyRequest.decode(body)
            }, answers: [Answer(content: [], note: "It has the name.")],
            errors: decoding + [
                .modelNotFound, .modelAmbiguous, .modelNotReady, .modelNameTaken, .tooManyModels, .modelStorageFailed,
                .notImplemented,
            ]),
        APIRoute(
            "DELETE", "/api/delete", .ollama, "Removes a model that was made here, or a deployment.",
            body: about(.delete, #"{"model":"mine"}"#), answers: [Answer(content: [], note: "It is gone.")],
            errors: decoding + [.modelNotFound, .modelAmbiguous, .modelNotReady, .modelStorageFailed, .notImplemented]),
        APIRoute(
            "HEAD", "/api/blobs/{digest}", .ollama, "Whether a file was uploaded.", parameters: [digest],
            answers: [Answer(content: [], note: "It is here.")],
            errors: [.modelNotFound, .invalidValue, .notImplemented]),
        APIRoute(
            "POST", "/api/blobs/{digest}", .ollama, "Uploads a file for /api/create.", parameters: [digest],
            upload: "application/octet-stream",
            answers: [Answer(status: 201, content: [], note: "It is here.")],
            errors: [
                .invalidValue, .requestTooLarge, .requestTimeout, .digestMismatch, .diskFull,
                .modelStorageFailed, .notImplemented,
            ]),
        APIRoute("GET", "/api/version", .ollama, "The version of the API.", answers: [json("Version")]),
        APIRoute("GET", "/api/tags", .ollama, "The models there are.", answers: [json("TagList")]),
        APIRoute("GET", "/api/ps", .ollama, "The models in memory.", answers: [json("RunningList")]),
    ]

    private static func inspection(
        _ route: LlamaServer.Call.Route, _ summary: String, _ example: String, _ schema: String
    ) -> APIRoute {
        APIRoute(
            "POST", route.path, .openAI, summary,
            body: Body(example: example) { body throws(DialectError) in
                _ = try LlamaServer.Call.decode(body, route: route, id: RequestID(0))
            }, answers: [json(schema)], errors: answering)
    }

    private static let inspections: [APIRoute] = [
        inspection(.tokenize, "The tokens of a text.", #"{"content":"Hello","with_pieces":true}"#, "Tokens"),
        inspection(.detokenize, "The text of tokens.", #"{"tokens":[5,6]}"#, "Content"),
        inspection(
            .applyTemplate, "The text a model's chat template makes of a conversation.",
            #"{"messages":[{"role":"user","content":"Hello"}]}"#, "Prompt"),
    ]

    private static let operations: [APIRoute] = [
        APIRoute("GET", "/healthz", .openAI, "Whether the process is alive.", answers: [json("Health")], isOpen: true),
        APIRoute(
            "GET", "/readyz", .openAI, "Whether a model can answer, with reasons.",
            answers: [
                json("Readiness", "A model can answer."),
                Answer(
                    status: 503, content: [("application/json", reference("Readiness"))], note: "No model can answer."),
            ], isOpen: true),
        APIRoute(
            "GET", "/metrics", .openAI, "Numbers for Prometheus.",
            answers: [Answer(content: [("text/plain", #"{"type":"string"}"#)], note: "Text in Prometheus' format.")]),
        APIRoute(
            "GET", "/openapi.json", .openAI, "This document.",
            answers: [Answer(content: [("application/json", #"{"type":"object"}"#)], note: "OpenAPI 3.1.")]),
        APIRoute(
            "GET", "/docs", .openAI, "This document for people.",
            answers: [Answer(content: [("text/html", #"{"type":"string"}"#)], note: "One page.")]),
    ]
}
