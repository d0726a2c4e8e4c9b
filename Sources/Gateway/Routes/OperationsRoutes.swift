import Dialects
import HTTPTypes
import Hummingbird
import NIOCore
import Vocabulary

/// `/healthz`, `/readyz` and `/metrics`.
struct OperationsRoutes: Sendable {
    let backend: any Generating
    let errors: ErrorLog

    func add(to router: Router<GatewayContext>) {
        router.get("healthz") { _, _ in Response(json: Array(#"{"status":"alive"}"#.utf8)) }
        router.get("readyz") { _, context in await readiness(context.caller) }
        router.get("metrics") { _, _ in
            var headers = HTTPFields()
            headers[.contentType] = "text/plain; version=0.0.4"
            let text = await backend.metrics().map {
                "# HELP \($0.name) \($0.help)\n# TYPE \($0.name) \($0.kind.rawValue)\n\($0.name) \($0.value)\n"
            }.joined()
            let body = ByteBuffer(string: text + errors.prometheus)
            return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: body))
        }
    }

    /// Everybody hears whether the node can answer; which models there are and what is wrong with them, only who may
    /// use it.
    private func readiness(_ caller: Caller) async -> Response {
        let models = await backend.models()
        var writer = JSONWriter()
        let isReady = models.contains(where: \.isAnswering)
        writer.beginObject()
        writer.key("ready")
        writer.bool(isReady)
        guard caller != .stranger else {
            writer.endObject()
            return Response(status: isReady ? .ok : .serviceUnavailable, json: writer.bytes)
        }
        writer.key("models")
        writer.beginArray()
        for model in models {
            writer.beginObject()
            writer.key("id")
            writer.string(model.card.id)
            writer.key("state")
            switch model.state {
            case .ready: writer.string("ready")
            case .starting(let reason):
                writer.string("starting")
                writer.key("reason")
                writer.string(reason)
            case .sleeping(let reason):
                writer.string("sleeping")
                writer.key("reason")
                writer.string(reason)
            case .available: writer.string("available")
            case .failed(let reason):
                writer.string("failed")
                writer.key("reason")
                writer.string(reason)
            }
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return Response(status: isReady ? .ok : .serviceUnavailable, json: writer.bytes)
    }
}
