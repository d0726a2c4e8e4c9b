import Foundation
import Testing
import Vocabulary
import Wire

/// The byte tables of docs/protocols, read the way a person reads them.
private struct ProtocolDocument {
    /// The rows of a section's first table, each by column name.
    var tables: [String: [[String: String]]] = [:]
    /// Headings in order.
    var headings: [String] = []

    init(_ name: String, file: String = #filePath) throws {
        let root = URL(fileURLWithPath: file).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(
            contentsOf: root.appendingPathComponent("docs/protocols/\(name)"), encoding: .utf8)
        var heading = ""
        var columns: [String] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("#") {
                heading = line.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces)
                headings.append(heading)
                columns = []
            } else if line.hasPrefix("|") {
                let cells = line.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast()
                    .map { $0.trimmingCharacters(in: .whitespaces) }
                if columns.isEmpty {
                    columns = cells
                } else if !cells.allSatisfy({ $0.allSatisfy { "-:".contains($0) } && !$0.isEmpty }) {
                    #expect(cells.count == columns.count, "\(heading): \(line)")
                    tables[heading, default: []].append(
                        Dictionary(zip(columns, cells), uniquingKeysWith: { first, _ in first }))
                }
            }
        }
    }

    /// Two columns of a section's table as pairs.
    func pairs(_ heading: String, _ key: String, _ value: String) throws -> [String] {
        try #require(tables[heading], "no table under \(heading)").map { "\($0[key] ?? "?") \($0[value] ?? "?")" }
    }

    /// The example bytes of a layout table; checks its offsets and sizes on the way.
    func example(_ heading: String) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var isFixed = true
        for row in try #require(tables[heading], "no table under \(heading)") {
            let field = FrameBytes.bytes(hex: (row["example"] ?? "").filter { $0 != "`" })
            let name = "\(heading): \(row["field"] ?? "")"
            #expect(row["offset"] == (isFixed ? "\(bytes.count)" : "…"), Comment(rawValue: name))
            if let size = Int(row["size"] ?? "") {
                #expect(size == field.count, Comment(rawValue: name))
            } else {
                isFixed = false
            }
            bytes += field
        }
        return bytes
    }
}

@Suite struct `The protocol documents` {
    private let stage: ProtocolDocument
    private let runner: ProtocolDocument

    init() throws {
        stage = try ProtocolDocument("stage-frames.md")
        runner = try ProtocolDocument("runner.md")
    }

    @Test func `the header's table gives the bytes of the golden step`() throws {
        let step = try #require(GoldenFrames.all.first { $0.kind == .step })
        #expect(try stage.example("Header") == Array(step.bytes.prefix(FrameHeader.byteCount)))
    }

    @Test(arguments: GoldenFrames.all.indices)
    func `the layout table of every frame with a body gives its golden bytes`(index: Int) throws {
        let golden = GoldenFrames.all[index]
        let document = golden.kind.isRunner ? runner : stage
        let number = String(golden.kind.rawValue, radix: 16, uppercase: true)
        let heading = "\(golden.kind) 0x" + (number.count == 1 ? "0" : "") + number
        let body = Array(golden.bytes.dropFirst(FrameHeader.byteCount))
        if body.isEmpty {
            #expect(!document.headings.contains(heading))
        } else {
            #expect(FrameBytes.hex(try document.example(heading)) == FrameBytes.hex(body), "\(heading)")
        }
    }

    @Test func `kinds have the numbers of the code`() throws {
        let expected = FrameKind.allCases.map { kind in
            let number = String(kind.rawValue, radix: 16, uppercase: true)
            return "\(kind) 0x" + (number.count == 1 ? "0" : "") + number
        }
        #expect(try stage.pairs("Kinds", "kind", "number") == expected)
    }

    @Test func `limits have the values of the code`() throws {
        let limits: [(String, Int)] = [
            ("frameBytes", Limits.frameBytes), ("frameBytesMax", Limits.frameBytesMax),
            ("handshakeBytes", Limits.handshakeBytes), ("signalBytes", Limits.signalBytes), ("rows", Limits.rows),
            ("width", Limits.width), ("operations", Limits.operations), ("alternatives", Limits.alternatives),
            ("guesses", Limits.guesses), ("tokenBytes", Limits.tokenBytes), ("grammarBytes", Limits.grammarBytes),
            ("patternBytes", Limits.patternBytes), ("triggers", Limits.triggers),
            ("logitBiases", Limits.logitBiases), ("dryBreakers", Limits.dryBreakers),
            ("dryBreakerBytes", Limits.dryBreakerBytes), ("identityBytes", Limits.identityBytes),
            ("reasonBytes", Limits.reasonBytes), ("stages", Limits.stages), ("layers", Limits.layers),
            ("choices", Limits.choices), ("eventParts", Limits.eventParts), ("eventTokens", Limits.eventTokens),
            ("errorTextBytes", Limits.errorTextBytes), ("listedModels", Limits.listedModels),
        ]
        #expect(try stage.pairs("Limits", "limit", "value") == limits.map { "\($0.0) \($0.1)" })
    }

    @Test func `roles, capabilities, formats and encodings have the numbers of the code`() throws {
        let roles = LinkRole.allCases.map { role in
            switch role {
            case .upstream: "upstream \(role.rawValue)"
            case .directReturn: "directReturn \(role.rawValue)"
            case .control: "control \(role.rawValue)"
            }
        }
        #expect(try stage.pairs("Roles", "role", "number") == roles)
        let bits: [(String, LinkCapabilities)] = [
            ("f16", .f16), ("bf16", .bf16), ("q8", .q8), ("statistics", .statistics),
        ]
        #expect(
            try stage.pairs("Capabilities", "capability", "bit")
                == bits.map { "\($0.0) \($0.1.rawValue.trailingZeroBitCount)" })
        #expect(LinkCapabilities(bits.map(\.1)) == .all)
        #expect(
            try stage.pairs("Wire formats", "format", "number") == WireFormat.allCases.map { "\($0) \($0.rawValue)" })
        for (row, format) in zip(try #require(stage.tables["Wire formats"]), WireFormat.allCases) {
            #expect(row["every bit arrives"]?.hasPrefix("yes") == format.isExact)
        }
        #expect(
            try stage.pairs("Activation encodings", "encoding", "number")
                == ActivationEncoding.allCases.map { "\($0) \($0.rawValue)" })
        #expect(
            try stage.pairs("Activation encodings", "encoding", "bytes of a row of width 1024")
                == ActivationEncoding.allCases.map { "\($0) \($0.rowByteCount(width: 1024))" })
    }

    @Test func `operations, sampling fields and causes have the numbers of the code`() throws {
        #expect(
            try stage.pairs("Operation codes", "operation", "code")
                == OperationCode.allCases.map { "\($0) \($0.rawValue)" })
        #expect(
            try stage.pairs("Sampling fields", "field", "tag") == SamplingField.allCases.map { "\($0) \($0.rawValue)" })
        #expect(
            try stage.pairs("Sampling fields", "field", "required")
                == SamplingField.allCases.map { "\($0) \($0.isRequired ? "yes" : "no")" })
        #expect(
            try stage.pairs("Failure causes", "cause", "code") == FailureCode.allCases.map { "\($0) \($0.rawValue)" })
    }

    @Test func `refusals have the codes of the code`() throws {
        let expected = `The handshake`.refusals.dropLast().map { refusal in
            "\(Mirror(reflecting: refusal).children.first?.label ?? "?") \(refusal.code)"
        }
        #expect(try stage.pairs("Refusal codes", "reason", "code") == expected)
    }

    @Test func `events and errors have the numbers of the code`() throws {
        #expect(
            try runner.pairs("Event codes", "event", "code") == EventCode.allCases.map { "\($0) \($0.rawValue)" })
        #expect(
            try runner.pairs("Error codes", "error", "code") == ErrorCode.allCases.map { "\($0) \($0.rawValue)" })
    }
}
