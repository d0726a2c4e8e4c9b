import Dialects
import HTTPTypes
import Hummingbird
import NIOCore

/// `/openapi.json` and `/docs`. Both are made once, from the tables the decoders read by.
struct DocumentRoutes: Sendable {
    private let document: ByteBuffer
    private let page: ByteBuffer

    init(version: String) {
        document = ByteBuffer(bytes: OpenAPIDocument.json(version: version))
        page = ByteBuffer(bytes: DocumentPage.html(version: version))
    }

    func add(to router: Router<GatewayContext>) {
        router.get("openapi.json") { _, _ in
            Response(status: .ok, headers: [.contentType: "application/json"], body: ResponseBody(byteBuffer: document))
        }
        router.get("docs") { _, _ in
            var headers: HTTPFields = [.contentType: "text/html; charset=utf-8"]
            headers[.contentSecurityPolicy] = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
            return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: page))
        }
    }
}
