/// The schemas of answers, by name.
enum AnswerSchemas {
    private static let text = #"{"type":"string"}"#
    private static let count = #"{"type":"integer","minimum":0}"#
    private static let flag = #"{"type":"boolean"}"#
    private static let number = #"{"type":"number"}"#
    private static let maybeText = #"{"type":["string","null"]}"#
    private static let maybeObject = #"{"type":["object","null"]}"#
    private static let object = #"{"type":"object"}"#

    private static func word(_ words: String...) -> String {
        #"{"type":"string","enum":[\#(words.map { "\"\($0)\"" }.joined(separator: ","))]}"#
    }

    private static func list(_ element: String) -> String { #"{"type":"array","items":\#(element)}"# }

    private static func reference(_ name: String) -> String { ##"{"$ref":"#/components/schemas/\##(name)"}"## }

    /// An object whose members are all there, but for those whose name ends with a question mark.
    private static func object(_ members: KeyValuePairs<String, String>) -> String {
        let properties = members.map { #""\#($0.key.filter { $0 != "?" })":\#($0.value)"# }.joined(separator: ",")
        let required = members.filter { !$0.key.hasSuffix("?") }.map { "\"\($0.key)\"" }.joined(separator: ",")
        return #"{"type":"object","properties":{\#(properties)},"required":[\#(required)]}"#
    }

    /// Name and schema, in the document's order.
    static let all: [(name: String, schema: String)] =
        errors + openAI + embeddings + responses + anthropic + ollama + inspections + operations

    private static let errors: [(name: String, schema: String)] = [
        ("OpenAIError", object(["error": object(["message": text, "type": text, "param": maybeText, "code": text])])),
        (
            "AnthropicError",
            object(["type": word("error"), "error": object(["type": text, "message": text]), "request_id": text])
        ),
        ("OllamaError", object(["error": text])),
    ]

    private static let usage = object([
        "prompt_tokens": count, "completion_tokens": count, "total_tokens": count, "prompt_tokens_details?": object,
        "completion_tokens_details?": object,
    ])

    private static let meta = object([
        "state": word("ready", "starting", "sleeping", "available", "failed"), "reason": maybeText,
        "architecture": text, "n_ctx": count,
        "n_ctx_train": count, "n_params": count, "n_vocab": count, "n_embd": count, "layers": count, "size": count,
        "digest": text, "sees": flag, "aliases": list(text), "sources": list(text), "alias_of": maybeText,
    ])

    private static let call = object([
        "id": text, "type": word("function"), "function": object(["name": text, "arguments": text]),
    ])

    private static let openAI: [(name: String, schema: String)] = [
        ("Model", object(["id": text, "object": word("model"), "created": count, "owned_by": text, "meta": meta])),
        ("ModelList", object(["object": word("list"), "data": list(reference("Model"))])),
        (
            "ChatCompletion",
            object([
                "id": text, "object": word("chat.completion"), "created": count, "model": text,
                "system_fingerprint?": text,
                "choices": list(
                    object([
                        "index": count,
                        "message": object([
                            "role": word("assistant"), "content": maybeText, "refusal": maybeText,
                            "reasoning_content?": text, "tool_calls?": list(call),
                        ]), "logprobs": maybeObject, "finish_reason": word("stop", "length", "tool_calls"),
                    ])), "usage": usage, "timings?": object,
            ])
        ),
        (
            "Completion",
            object([
                "id": text, "object": word("text_completion"), "created": count, "model": text,
                "system_fingerprint?": text,
                "choices": list(
                    object([
                        "index": count, "text": text, "logprobs": maybeObject, "finish_reason": word("stop", "length"),
                    ])), "usage": usage, "timings?": object,
            ])
        ),
    ]

    private static let vector = list(number)

    private static let embeddings: [(name: String, schema: String)] = [
        (
            "EmbeddingList",
            object([
                "object": word("list"), "model": text,
                "data": list(
                    object([
                        "object": word("embedding"), "index": count,
                        "embedding": #"{"anyOf":[\#(vector),\#(text)]}"#,
                    ])), "usage": object(["prompt_tokens": count, "total_tokens": count]),
            ])
        ),
        (
            "Embeddings",
            object([
                "model": text, "embeddings": list(vector), "total_duration": count, "load_duration": count,
                "prompt_eval_count": count,
            ])
        ), ("SingleEmbedding", object(["embedding": vector])),
    ]

    private static let responses: [(name: String, schema: String)] = [
        (
            "Response",
            object([
                "id": text, "object": word("response"), "created_at": number,
                "status": word("completed", "failed", "in_progress", "cancelled", "queued", "incomplete"),
                "model": text, "output": list(object(["type": text])), "error": maybeObject,
                "incomplete_details": maybeObject, "parallel_tool_calls": flag, "tools": list(object),
                "metadata": maybeObject, "usage": maybeObject, "store": flag, "background": flag,
                "previous_response_id": maybeText, "text": object,
            ])
        ),
        (
            "Compaction",
            object([
                "id": text, "object": word("response.compaction"), "created_at": number,
                "output": list(object(["type": text])), "usage": object,
            ])
        ),
        ("DeletedResponse", object(["id": text, "object": text, "deleted": flag])),
        (
            "ItemList",
            object([
                "object": word("list"), "data": list(object), "first_id": maybeText, "last_id": maybeText,
                "has_more": flag,
            ])
        ),
    ]

    private static let anthropic: [(name: String, schema: String)] = [
        (
            "Message",
            object([
                "id": text, "type": word("message"), "role": word("assistant"), "model": text,
                "content": list(object(["type": word("text", "thinking", "tool_use")])),
                "stop_reason": word("end_turn", "max_tokens", "stop_sequence", "tool_use"), "stop_sequence": maybeText,
                "usage": object([
                    "input_tokens": count, "output_tokens": count, "cache_creation_input_tokens": count,
                    "cache_read_input_tokens": count,
                ]),
            ])
        ),
        ("TokenCount", object(["input_tokens": count])),
    ]

    private static let details = object([
        "parent_model": text, "format": word("gguf"), "family": text, "families": list(text), "parameter_size": text,
        "quantization_level": text,
    ])

    private static func tag(_ rest: KeyValuePairs<String, String>) -> String {
        var members = ["name": text, "model": text, "size": count, "digest": text, "details": details]
        members.merge(rest.map { ($0.key, $0.value) }) { $1 }
        let names = members.keys.sorted()
        let properties = names.map { #""\#($0)":\#(members[$0] ?? object)"# }.joined(separator: ",")
        let required = names.map { "\"\($0)\"" }.joined(separator: ",")
        return object(["models": list(#"{"type":"object","properties":{\#(properties)},"required":[\#(required)]}"#)])
    }

    private static func line(_ name: String, _ schema: String) -> String {
        object([
            "model": text, "created_at": text, "\(name)": schema, "done": flag, "done_reason": text,
            "total_duration?": count, "load_duration?": count, "prompt_eval_count?": count,
            "prompt_eval_duration?": count, "eval_count?": count, "eval_duration?": count, "thinking?": text,
            "logprobs?": list(object),
        ])
    }

    private static let ollama: [(name: String, schema: String)] = [
        ("GenerateAnswer", line("response", text)),
        (
            "ChatAnswer",
            line(
                "message",
                object(["role": word("assistant"), "content": text, "thinking?": text, "tool_calls?": list(object)]))
        ),
        (
            "ShownModel",
            object([
                "license": text, "modelfile": text, "parameters": text, "template": text, "system?": text,
                "messages?": list(object(["role": text, "content": text])), "details": details, "model_info": object,
                "capabilities": list(text), "modified_at": text,
            ])
        ),
        ("Status", object(["status": text])), ("Version", object(["version": text, "server": text])),
        ("TagList", tag(["modified_at": text])),
        ("RunningList", tag(["expires_at": text, "size_vram": count, "context_length": count])),
    ]

    /// A token with its text, or its bytes where they are no text.
    private static let piece = object(["id": count, "piece": #"{"anyOf":[\#(text),\#(list(count))]}"#])

    private static let inspections: [(name: String, schema: String)] = [
        ("Tokens", object(["tokens": list(#"{"anyOf":[\#(count),\#(piece)]}"#)])),
        ("Content", object(["content": text])), ("Prompt", object(["prompt": text])),
    ]

    private static let operations: [(name: String, schema: String)] = [
        ("Health", object(["status": word("alive")])),
        (
            "Readiness",
            object([
                "ready": flag,
                "models?": list(
                    object([
                        "id": text, "state": word("ready", "starting", "sleeping", "available", "failed"),
                        "reason?": text,
                    ])),
            ])
        ),
    ]
}
