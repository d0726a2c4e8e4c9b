extension Responses {
    /// What a client sends over a WebSocket: `response.create` with the fields of a request's body beside it.
    ///
    /// **Source:** OpenAI's WebSocket mode of the Responses API; Open Responses, `WebSocketResponseCreateEvent`.
    package struct SocketMessage: Sendable {
        /// The request as a body of `POST /v1/responses`.
        package let body: [UInt8]
        /// Whether the model is to answer; without, the input is only taken note of.
        package let generates: Bool

        /// Reads a message.
        ///
        /// **Throws:** `DialectError` naming field, limit and value.
        package static func decode(_ bytes: [UInt8]) throws(DialectError) -> SocketMessage {
            guard bytes.count <= Limits.bodyBytes else {
                throw .bodyTooLarge(bytes: bytes.count, limit: Limits.bodyBytes)
            }
            let node: JSONNode
            do throws(JSONError) { node = try JSONReader.read(bytes) } catch { throw .malformedJSON(error) }
            let message = Field(node: node, path: .body)
            try message.requireObject()
            let type = try message.required("type")
            guard try type.string() == "response.create" else {
                throw .unsupportedValue(
                    field: "type", value: "'\(clipped(try type.string()))'",
                    remedy: "send 'response.create'; to stop a response close the connection")
            }
            let generates = try message.member("generate")?.bool() ?? true
            if let stream = message.member("stream_id") {
                throw .unsupportedField(
                    field: stream.name, remedy: "responses of one connection follow each other; open another one")
            }
            if try message.member("background")?.bool() == true {
                throw .unsupportedValue(
                    field: "background", value: "true", remedy: "send the request to POST /v1/responses")
            }
            var writer = JSONWriter(reserving: bytes.count)
            writer.beginObject()
            for (key, member) in message.members where !envelope.contains(key) {
                writer.key(key)
                writer.node(member.node)
            }
            writer.key("stream")
            writer.bool(true)
            writer.endObject()
            return SocketMessage(body: writer.bytes, generates: generates)
        }

        /// Members of the message that are no fields of the request, and what becomes of them.
        package static let fields: [FieldDescription] = [
            .init(name: "background", disposition: .refused, note: "only false; send the request to POST"),
            .init(name: "event_id", disposition: .noted, note: "events say which response they belong to"),
            .init(name: "generate", disposition: .honoured, note: "false: nothing is generated, only taken note of"),
            .init(name: "stream", disposition: .noted, note: "events always come as they are made"),
            .init(name: "stream_id", disposition: .refused, note: "open another connection"),
            .init(name: "type", disposition: .honoured, note: "only response.create"),
        ]

        private static let envelope = Set(fields.map(\.name))
    }

    /// The `error` event of a request that cannot be answered, in both vendors' shapes.
    package static func socketError(_ report: ErrorReport) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("type")
        writer.string("error")
        writer.key("sequence_number")
        writer.integer(0)
        writer.key("status")
        writer.integer(report.status)
        writeError(report, to: &writer)
        writer.endObject()
        return writer.bytes
    }

    /// The members of an error: flat as OpenAI's SDKs read them, and as an object as Open Responses has them.
    static func writeError(_ report: ErrorReport, to writer: inout JSONWriter) {
        writeMembers(of: report, to: &writer)
        writer.key("error")
        writer.beginObject()
        writer.key("type")
        writer.string(OpenAI.errorType(report.kind))
        writeMembers(of: report, to: &writer)
        writer.endObject()
    }

    private static func writeMembers(of report: ErrorReport, to writer: inout JSONWriter) {
        for (key, value) in [("code", report.code), ("message", report.message), ("param", report.param)] {
            writer.key(key)
            writer.string(orNull: value)
        }
    }
}
