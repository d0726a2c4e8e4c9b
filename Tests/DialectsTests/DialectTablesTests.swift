import Dialects
import Foundation
import Testing
import Vocabulary

/// docs/dialects.md and the decoders' own tables.
@Suite struct `Dialect tables` {
    private static let marker = "`REWRITE_DOCS=1 swift test --filter DialectsTests`.\n"

    private static let document = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("docs/dialects.md")

    /// The error table as the clients of each dialect see it.
    private static var errors: String {
        var lines = [
            "", "### Errors", "", "| code | status | OpenAI's type | Anthropic's type | retry | log |",
            "|---|---|---|---|---|---|",
        ]
        for code in ErrorCode.allCases {
            let row = code.row
            let retry =
                switch row.retry {
                case .never: "-"
                case .after(let seconds): "\(seconds) s"
                case .stated: "stated"
                }
            lines.append(
                "| `\(code.rawValue)` | \(row.status) | \(OpenAI.errorType(row.kind)) | "
                    + "\(Anthropic.errorType(row.kind)) | "
                    + "\(retry) | \(row.severity.rawValue) |")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func section(_ route: RouteFields) -> String {
        var lines = ["", "### \(route.route)", "", "| field | becomes | how |", "|---|---|---|"]
        for field in route.fields {
            lines.append("| `\(field.name)` | \(field.disposition.rawValue) | \(field.note) |")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    @Test func `the document lists every field of every route as the decoders treat it`() throws {
        let text = try String(contentsOf: Self.document, encoding: .utf8)
        let parts = text.components(separatedBy: Self.marker)
        try #require(parts.count == 2, "the document has the line that starts the tables once")
        let expected = (RouteFields.all + RouteFields.messages).map(Self.section).joined() + Self.errors
        if ProcessInfo.processInfo.environment["REWRITE_DOCS"] != nil {
            try Data((parts[0] + Self.marker + expected).utf8).write(to: Self.document)
            return
        }
        let written = parts[1].components(separatedBy: "\n")
        for (line, wanted) in zip(written, expected.components(separatedBy: "\n")) where line != wanted {
            Issue.record("the document has '\(line)' where the decoders say '\(wanted)'")
            return
        }
        #expect(parts[1] == expected, "the document has more or fewer rows than the decoders")
    }

    @Test func `no route names a field twice or without a reason`() {
        for route in RouteFields.all + RouteFields.messages {
            let names = route.fields.map(\.name)
            #expect(Set(names).count == names.count, "\(route.route)")
            for field in route.fields where field.disposition == .refused || field.disposition == .noted {
                #expect(!field.note.isEmpty, "\(route.route): \(field.name)")
            }
            #expect(route.fields.allSatisfy { !$0.note.contains("|") && !$0.note.contains("\n") })
        }
    }

    /// A refused field must be refused, an unknown one must be named.
    @Test(arguments: [
        ("POST /v1/responses", #"{"model":"m","input":"hi""#),
        ("POST /v1/responses/compact", #"{"model":"m","input":"hi""#),
        ("POST /v1/messages", #"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]"#),
        ("POST /v1/messages/count_tokens", #"{"model":"m","messages":[{"role":"user","content":"hi"}]"#),
        ("POST /api/generate", #"{"model":"m","prompt":"hi""#),
        ("POST /api/chat", #"{"model":"m","messages":[{"role":"user","content":"hi"}]"#),
        ("POST /api/show", #"{"model":"m""#), ("POST /api/pull", #"{"model":"m""#),
        ("POST /api/create", #"{"model":"m","from":"b""#), ("POST /api/copy", #"{"source":"m","destination":"n""#),
        ("DELETE /api/delete", #"{"model":"m""#),
    ])
    func `refused fields are refused by name, unknown ones warned about`(route: String, start: String) throws {
        let fields = try #require(RouteFields.all.first { $0.route == route }).fields
        for field in fields where field.disposition == .refused && !field.name.contains(where: { ".[".contains($0) }) {
            // What no rule takes: neither an empty text nor array, and no allowed flag.
            let errors = [#"["x"]"#, #""x""#, "true", "false", "7"].map { value in
                decodeError(route, start + #","\#(field.name)":\#(value)}"#)
            }
            #expect(errors.contains { $0?.field?.hasPrefix(field.name) == true }, "\(route) \(field.name): \(errors)")
        }
        #expect(
            try warnings(route, start + #","nonesuch":1}"#) == [
                "'nonesuch' is not a known parameter and has no effect."
            ])
        #expect(try warnings(route, start + "}") == [])
    }

    @Test func `what stands beside a request in a message is taken out of it or refused`() throws {
        let start = #"{"type":"response.create","model":"m","input":"hi","unknown":[1, 2]"#
        for field in Responses.SocketMessage.fields where field.name != "type" {
            let values = ["background": "false", "event_id": #""e""#, "generate": "false", "stream": "false"]
            let refused = field.name == "background" ? "true" : #""x""#
            if field.disposition == .refused {
                #expect {
                    try Responses.SocketMessage.decode(bytes(start + #","\#(field.name)":\#(refused)}"#))
                } throws: { ($0 as? DialectError)?.field == field.name }
            }
            guard let value = values[field.name] else { continue }
            let message = try Responses.SocketMessage.decode(bytes(start + #","\#(field.name)":\#(value)}"#))
            #expect(
                text(message.body) == #"{"model":"m","input":"hi","unknown":[1,2],"stream":true}"#, "\(field.name)")
            #expect(message.generates == (field.name != "generate"))
        }
    }

    private func decodeError(_ route: String, _ body: String) -> DialectError? {
        do {
            _ = try warnings(route, body)
            return nil
        } catch {
            return error
        }
    }

    private func warnings(_ route: String, _ body: String) throws(DialectError) -> [String] {
        let (body, id) = (bytes(body), RequestID(1))
        switch route {
        case "POST /v1/responses": return try Responses.Request.decode(body, id: id).warnings
        case "POST /v1/responses/compact": return try list(Responses.Compaction.decode(body, id: id).warningHeader)
        case "POST /v1/messages": return try Anthropic.MessageRequest.decode(body, id: id).decoded.warnings
        case "POST /v1/messages/count_tokens": return try Anthropic.CountRequest.decode(body, id: id).warnings
        case "POST /api/generate":
            return try Ollama.AnswerRequest.decode(body, route: .generate, id: id).decoded.warnings
        case "POST /api/chat": return try Ollama.AnswerRequest.decode(body, route: .chat, id: id).decoded.warnings
        case "POST /api/show": return try Ollama.ModelRequest.decode(body, route: .show).warnings
        case "POST /api/create": return try Ollama.CreateRequest.decode(body).warnings
        case "POST /api/copy": return try Ollama.CopyRequest.decode(body).warnings
        case "DELETE /api/delete": return try Ollama.ModelRequest.decode(body, route: .delete).warnings
        default: return try Ollama.ModelRequest.decode(body, route: .pull).warnings
        }
    }

    private func list(_ header: String?) -> [String] { header.map { [$0] } ?? [] }
}
