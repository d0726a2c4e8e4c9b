/// The document of the HTTP API, OpenAPI 3.1: requests from the decoders' own tables, errors from the error table.
package enum OpenAPIDocument {
    /// The document's bytes; `version` is the server's.
    package static func json(version: String) -> [UInt8] {
        let routes = APIRoute.all
        var writer = JSONWriter(reserving: 1 << 20)
        writer.beginObject()
        writer.key("openapi")
        writer.string("3.1.0")
        writer.key("info")
        writer.beginObject()
        for (key, value) in [
            ("title", "Skein"), ("version", version),
            ("description", "One server for large language models in the dialects of OpenAI, Anthropic and Ollama."),
        ] {
            writer.key(key)
            writer.string(value)
        }
        writer.endObject()
        writer.key("servers")
        writer.raw(#"[{"url":"/"}]"#)
        writer.key("security")
        writer.raw(#"[{"bearer":[]},{"apiKey":[]},{}]"#)
        writer.key("paths")
        writer.beginObject()
        for path in paths(routes) {
            writer.key(path)
            writer.beginObject()
            for route in routes where route.path == path { write(route, to: &writer) }
            writer.endObject()
        }
        writer.endObject()
        writeComponents(to: &writer)
        writer.endObject()
        return writer.bytes
    }

    private static func paths(_ routes: [APIRoute]) -> [String] {
        var paths: [String] = []
        for route in routes where !paths.contains(route.path) { paths.append(route.path) }
        return paths
    }

    private static func write(_ route: APIRoute, to writer: inout JSONWriter) {
        writer.key(route.method.lowercased())
        writer.beginObject()
        writer.key("operationId")
        writer.string(operationID(route))
        writer.key("summary")
        writer.string(route.summary)
        writer.key("tags")
        writer.raw("[\"\(route.dialect.rawValue)\"]")
        if route.isOpen {
            writer.key("security")
            writer.raw("[]")
        }
        if !route.parameters.isEmpty { writeParameters(route, to: &writer) }
        if let body = route.body { write(body, of: route, to: &writer) }
        if let type = route.upload {
            writer.key("requestBody")
            writer.raw(#"{"required":true,"content":{"\#(type)":{}}}"#)
        }
        writer.key("responses")
        writer.beginObject()
        for answer in route.answers { write(answer, to: &writer) }
        let answered = Set(route.answers.map(\.status))
        for (status, codes) in route.errorStatuses where !answered.contains(status) {
            writeError(status, codes, route.dialect, to: &writer)
        }
        writer.endObject()
        writer.endObject()
    }

    /// `post_v1_chat_completions`.
    private static func operationID(_ route: APIRoute) -> String {
        let words = route.path.split { !$0.isLetter && !$0.isNumber }
        return ([route.method.lowercased()] + words.map(String.init)).joined(separator: "_")
    }

    private static func writeParameters(_ route: APIRoute, to writer: inout JSONWriter) {
        writer.key("parameters")
        writer.beginArray()
        for parameter in route.parameters {
            writer.beginObject()
            for (key, value) in [
                ("name", parameter.name), ("in", parameter.place), ("description", parameter.note),
            ] {
                writer.key(key)
                writer.string(value)
            }
            writer.key("required")
            writer.bool(parameter.place == "path")
            writer.key("schema")
            writer.raw(parameter.schema)
            writer.endObject()
        }
        writer.endArray()
    }

    private static func write(_ body: APIRoute.Body, of route: APIRoute, to writer: inout JSONWriter) {
        let rows = RouteFields.all.first { $0.route == route.title }?.fields ?? []
        writer.key("requestBody")
        writer.beginObject()
        writer.key("required")
        writer.bool(true)
        writer.key("content")
        writer.beginObject()
        writer.key("application/json")
        writer.beginObject()
        writer.key("schema")
        FieldSchema(rows, required: route.requiredMembers).write(to: &writer)
        writer.key("example")
        writer.raw(body.example)
        writer.endObject()
        writer.endObject()
        writer.endObject()
    }

    private static func write(_ answer: APIRoute.Answer, to writer: inout JSONWriter) {
        writer.key(String(answer.status))
        writer.beginObject()
        writer.key("description")
        writer.string(answer.note)
        writer.key("content")
        writer.beginObject()
        for (type, schema) in answer.content {
            writer.key(type)
            writer.raw(#"{"schema":\#(schema)}"#)
        }
        writer.endObject()
        writer.endObject()
    }

    private static func writeError(
        _ status: Int, _ codes: [ErrorCode], _ dialect: APIRoute.Dialect, to writer: inout JSONWriter
    ) {
        writer.key(String(status))
        writer.beginObject()
        writer.key("description")
        writer.string(codes.map(\.rawValue).joined(separator: ", "))
        if codes.contains(where: { $0.row.retry != .never }) {
            writer.key("headers")
            writer.raw(
                #"{"Retry-After":{"description":"When to try again.","schema":{"type":"integer","minimum":1}}}"#)
        }
        writer.key("content")
        let schema = ##"{"$ref":"#/components/schemas/\##(dialect.rawValue)Error"}"##
        writer.raw(#"{"application/json":{"schema":\#(schema)}}"#)
        writer.endObject()
    }

    private static func writeComponents(to writer: inout JSONWriter) {
        writer.key("components")
        writer.beginObject()
        writer.key("securitySchemes")
        writer.raw(
            #"{"bearer":{"type":"http","scheme":"bearer"},"apiKey":{"type":"apiKey","in":"header","name":"x-api-key"}}"#
        )
        writer.key("schemas")
        writer.beginObject()
        for (name, schema) in AnswerSchemas.all {
            writer.key(name)
            writer.raw(schema)
        }
        writer.endObject()
        writer.endObject()
    }
}
