import Dialects
import Foundation
import Testing

@Suite struct `Responses document` {
    private static let path = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../docs/dialects/responses.md")

    /// The rows of a table of the document, between its marks.
    private func rows(_ name: String) throws -> [String] {
        let text = try String(contentsOf: Self.path, encoding: .utf8)
        let begin = try #require(text.range(of: "<!-- fields: \(name) -->\n"))
        let end = try #require(text.range(of: "<!-- end -->", range: begin.upperBound..<text.endIndex))
        return text[begin.upperBound..<end.lowerBound].split(separator: "\n").dropFirst(2).map(String.init)
    }

    private func row(_ field: FieldDescription) -> String {
        "| `\(field.name)` | \(field.disposition.rawValue) | \(field.note) |"
    }

    @Test func `the table of create is what the decoder does`() throws {
        #expect(try rows("create") == Responses.Request.fields.map(row))
    }

    @Test func `the table of compact is what the decoder does`() throws {
        #expect(try rows("compact") == Responses.Compaction.fields.map(row))
    }

    @Test func `what the table calls refused is refused, and nothing else`() throws {
        let values = ["1", "2", "true", "false", #""x""#, "[]", "{}", "0.5", #""auto""#, #"{"id":"p"}"#, #"["a"]"#]
        for field in Responses.Request.fields where !field.name.contains(".") && !field.name.contains("[") {
            guard field.name != "model", field.name != "input" else { continue }
            let answers = values.map { responsesError(#""\#(field.name)":\#($0)"#) }
            let refusals = answers.filter { error in
                switch error {
                case .unsupportedField, .unsupportedValue: true
                default: false
                }
            }
            let isRefused = !refusals.isEmpty
            #expect(isRefused == (field.disposition == .refused), "\(field.name): \(answers)")
            // A field that is refused for its presence has no value that passes.
            if field.disposition != .refused { #expect(answers.contains { $0 == nil || $0?.field != nil }) }
        }
    }
}
