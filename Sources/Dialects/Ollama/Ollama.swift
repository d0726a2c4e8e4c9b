/// The Ollama dialect: request bodies in, response bodies and newline-delimited JSON out. No HTTP.
///
/// **Source:** Ollama's API reference, and the request bodies its SDK and common clients send.
package enum Ollama {
    /// The two routes that generate; their answers differ in where the text stands.
    package enum Route: Hashable, Sendable {
        /// `POST /api/generate`
        case generate
        /// `POST /api/chat`
        case chat

        /// What the route calls the prompt.
        package var promptField: String { self == .generate ? "prompt" : "messages" }
    }

    /// The release of Ollama whose API this is; clients compare it before they use newer fields.
    package static let apiVersion = "0.13.0"

    /// The body of `GET /api/version`.
    package static func versionBody(server: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("version")
        writer.string(apiVersion)
        writer.key("server")
        writer.string(server)
        writer.endObject()
        return writer.bytes
    }

    /// The name a model is looked up by: Ollama's clients put `:latest` behind names without a tag.
    package static func lookupName(_ name: String) -> String {
        name.hasSuffix(":latest") ? String(name.dropLast(":latest".count)) : name
    }

    /// `{"error":…}`: the body of a response, or the last line of a stream.
    package static func errorBody(_ report: ErrorReport) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("error")
        writer.string(report.message)
        writer.endObject()
        return writer.bytes
    }
}
