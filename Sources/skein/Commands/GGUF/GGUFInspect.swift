import ArgumentParser
import FoundationEssentials
import GGUF
import ModelStore
import Vocabulary

/// `skein gguf inspect`: what a file says of itself.
struct GGUFInspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Show a model file's metadata, tensors and legal cuts.")

    @Argument(help: "Model file (GGUF).")
    var file: String

    @Flag(help: "Also list the tensors.")
    var tensors = false

    @Flag(help: "Print as JSON.")
    var json = false

    func run() throws {
        let header: GGUFFile
        do {
            header = try GGUFFile.parse(try FileByteSource(path: file))
        } catch {
            Output.error("\(error)")
            throw ExitCode(1)
        }
        json ? try printJSON(header) : printText(header)
    }

    private func printText(_ header: GGUFFile) {
        Output.line(
            "GGUF version \(header.version), \(header.tensors.count) tensors, \(ByteCount(header.fileByteCount))")
        Output.line(
            "architecture \(header.architecture ?? "?"), \(header.layerCount ?? 0) layers, "
                + "\(header.parameterCount) parameters"
        )
        for entry in header.metadata { Output.line("  \(entry.key) = \(Self.text(entry.value))") }
        if let cutter = try? ModelCutter(header) {
            let legal = cutter.legalBoundaries.map(String.init).joined(separator: ",")
            Output.line("legal cuts: \(cutter.refusal ?? (legal.isEmpty ? "none" : legal))")
        }
        guard tensors else { return }
        for tensor in header.tensors {
            let shape = tensor.dimensions.map(String.init).joined(separator: "×")
            Output.line("  \(tensor.name)  \(tensor.type)  \(shape)  \(ByteCount(tensor.byteCount))")
        }
    }

    private func printJSON(_ header: GGUFFile) throws {
        struct Report: Encodable {
            struct Tensor: Encodable {
                var name: String
                var type: String
                var dimensions: [UInt64]
                var offset: UInt64
                var bytes: UInt64
            }
            var version: UInt32
            var architecture: String?
            var layers: Int?
            var parameters: UInt64
            var metadata: [String: String]
            var tensors: [Tensor]
            var legal_cuts: [Int]?
        }
        let report = Report(
            version: header.version, architecture: header.architecture, layers: header.layerCount,
            parameters: header.parameterCount,
            metadata: Dictionary(uniqueKeysWithValues: header.metadata.map { ($0.key, Self.text($0.value)) }),
            tensors: header.tensors.map {
                Report.Tensor(
                    name: $0.name, type: "\($0.type)", dimensions: $0.dimensions, offset: $0.offset, bytes: $0.byteCount
                )
            },
            legal_cuts: try? ModelCutter(header).legalBoundaries)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        Output.line(String(decoding: try encoder.encode(report), as: UTF8.self))
    }

    /// A value on one line; long arrays and texts are cut.
    private static func text(_ value: MetadataValue) -> String {
        if let array = value.array {
            let head = array.selecting(Array(0..<min(8, array.count)))
            let more = array.count > 8 ? ", … \(array.count) in all" : ""
            return "[" + items(head).joined(separator: ", ") + more + "]"
        }
        let line = scalar(value).split { (character: Character) in character.isNewline }.joined(separator: "⏎")
        return line.count > 100 ? String(line.prefix(100)) + "…" : line
    }

    private static func items(_ array: MetadataArray) -> [String] {
        if let strings = array.strings { return strings.texts.map { "'" + $0 + "'" } }
        if let integers = array.integers { return integers.map { String($0) } }
        return (array.floats ?? []).map { String($0) }
    }

    private static func scalar(_ value: MetadataValue) -> String {
        if let text = value.byteString?.text { return text }
        if let integer = value.integer { return String(integer) }
        if let float = value.float { return String(float) }
        return value.bool.map { String($0) } ?? "?"
    }
}
