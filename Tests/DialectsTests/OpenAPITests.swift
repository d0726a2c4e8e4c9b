import Dialects
import Foundation
import Testing

@Suite struct `The document of the API` {
    private static func document() throws -> [String: Any] {
        let bytes = Data(OpenAPIDocument.json(version: "1"))
        return try #require(try JSONSerialization.jsonObject(with: bytes) as? [String: Any])
    }

    private func value(_ path: String..., in root: Any?) -> Any? {
        path.reduce(root) { value, name in
            if let list = value as? [Any] { return Int(name).map { list[$0] } }
            return (value as? [String: Any])?[name]
        }
    }

    private func schema(_ route: String, _ method: String = "post") throws -> [String: Any] {
        let schema = value(
            "paths", route, method, "requestBody", "content", "application/json", "schema", in: try Self.document())
        return try #require(schema as? [String: Any])
    }

    private func alternatives(_ name: String, of schema: [String: Any]) throws -> [NSDictionary] {
        try #require(value("properties", name, "anyOf", in: schema) as? [NSDictionary], "\(name)")
    }

    @Test func `it names every route that has fields, with all of them`() throws {
        let paths = try #require(try Self.document()["paths"] as? [String: Any])
        for route in RouteFields.all {
            let parts = route.route.split(separator: " ").map(String.init)
            #expect(value(parts[1], parts[0].lowercased(), "requestBody", in: paths) != nil, "\(route.route)")
            let properties = try #require(try schema(parts[1], parts[0].lowercased())["properties"] as? [String: Any])
            for field in route.fields {
                let first = field.name.prefix { $0 != "." && $0 != "[" }
                #expect(properties[String(first)] != nil, "\(route.route): \(field.name)")
            }
        }
    }

    @Test func `types, ranges and words are those of the decoders`() throws {
        let chat = try schema("/v1/chat/completions")
        #expect(Set(chat["required"] as? [String] ?? []) == ["model", "messages"])
        #expect(
            try alternatives("temperature", of: chat) == [
                ["type": "null"], ["type": "number", "minimum": 0, "maximum": 2],
            ])
        #expect(
            try alternatives("n", of: chat) == [["type": "null"], ["type": "integer", "minimum": 1, "maximum": 128]])
        #expect(
            try alternatives("max_tokens", of: chat) == [
                ["type": "null"], ["type": "integer", "minimum": 1, "maximum": 2_147_483_647], ["const": -1],
            ])
        #expect(try alternatives("stream", of: chat) == [["type": "null"], ["type": "boolean"]])
        #expect(try alternatives("echo", of: chat) == [["type": "null"], ["const": false]])
        #expect(
            try alternatives("verbosity", of: chat) == [
                ["type": "null"], ["type": "string", "enum": ["low", "medium", "high"]],
            ])
        // A refused field may be absent or null, and nothing else.
        #expect(try alternatives("audio", of: chat) == [["type": "null"]])
        #expect(
            try alternatives("stop", of: chat) == [
                ["type": "null"], ["type": "string"],
                ["type": "array", "items": ["anyOf": [["type": "string"]]]],
            ])
        let message = try schema("/v1/messages")
        #expect(Set(message["required"] as? [String] ?? []) == ["model", "messages", "max_tokens"])
    }

    @Test func `what stands inside other fields is described where it stands`() throws {
        let chat = try schema("/api/chat")
        let options = try #require(
            (value("properties", "options", "anyOf", in: chat) as? [[String: Any]])?.first { $0["properties"] != nil })
        #expect(value("properties", "num_ctx", in: options) != nil)
        let messages = try #require(
            (value("properties", "messages", "anyOf", in: chat) as? [[String: Any]])?.first { $0["items"] != nil })
        let role = value("items", "anyOf", "0", "properties", "role", "anyOf", in: messages) as? [NSDictionary]
        #expect(role == [["type": "string", "enum": ["system", "user", "assistant", "tool"]]])
    }

    @Test func `examples are taken, and what is not taken is not described as taken`() throws {
        for route in APIRoute.all {
            #expect(!route.summary.isEmpty && route.summary.hasSuffix("."))
            let statuses = route.errorStatuses.map(\.status)
            #expect(statuses == statuses.sorted() && Set(statuses).count == statuses.count)
        }
        let titles = APIRoute.all.map { "\($0.method) \($0.path)" }
        #expect(Set(titles).count == titles.count)
    }

    @Test func `every error of a route is documented in its dialect's shape`() throws {
        let responses = value("paths", "/v1/messages", "post", "responses", in: try Self.document()) as? [String: Any]
        let statuses = Set((responses ?? [:]).keys)
        #expect(statuses.isSuperset(of: ["200", "400", "401", "403", "404", "413", "429", "500", "503", "504"]))
        let body = value("401", "content", "application/json", "schema", "$ref", in: responses) as? String
        #expect(body == "#/components/schemas/AnthropicError")
    }

    @Test func `the page for people needs nothing from elsewhere`() {
        let page = String(decoding: DocumentPage.html(version: "<1>"), as: UTF8.self)
        for word in ["<script", "http://", "https://", "src=", "@import", "url("] { #expect(!page.contains(word)) }
        #expect(page.contains("&lt;1&gt;") && page.contains("/v1/chat/completions"))
        #expect(page.hasPrefix("<!doctype html>") && page.hasSuffix("</html>\n"))
    }
}
