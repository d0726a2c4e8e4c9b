/// A tracked text file.
struct SourceFile: Sendable, CustomStringConvertible {
    /// Path from the root of the repository.
    let path: String
    let bytes: [UInt8]
    let lines: [String]
    /// The Swift reading; nil for other files.
    let swift: SwiftSource?

    init(path: String, bytes: [UInt8]) {
        self.path = path
        self.bytes = bytes
        var lines = bytes.split(separator: Ascii.newline, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        if lines.last?.isEmpty ?? false { lines.removeLast() }
        self.lines = lines
        swift = path.hasSuffix(".swift") ? SwiftSource(bytes: bytes) : nil
    }

    /// The path: a failing expectation shall not print the content.
    var description: String { path }

    /// For the rules' own tests.
    init(path: String, text: String) { self.init(path: path, bytes: Array(text.utf8)) }

    private var components: [Substring] { path.split(separator: "/") }

    /// File name with extension.
    var name: String { components.last.map(String.init) ?? path }

    /// File name up to the first dot after its first character.
    var stem: String { String(name.prefix(1) + name.dropFirst().prefix { $0 != "." }) }

    /// What follows the last dot; empty without one.
    var fileExtension: String {
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return "" }
        return String(name[name.index(after: dot)...])
    }

    /// The SwiftPM target the file belongs to; nil outside Sources and Tests.
    var target: String? {
        guard components.count >= 3, components[0] == "Sources" || components[0] == "Tests" else { return nil }
        return String(components[1])
    }

    var isInSources: Bool { components.first == "Sources" }
    var isInTests: Bool { components.first == "Tests" }

    /// Code written by a generator (Protocol Buffers), which owes nothing to the size rules.
    var isGenerated: Bool { name.hasSuffix(".pb.swift") || name.hasSuffix(".grpc.swift") }

    /// Data that tests read, the model's training record, and other people's words kept as they are.
    var isData: Bool {
        components.contains("Fixtures") || path.hasPrefix("Models/training/") || name == "LICENSE"
            || ["json", "jsonl", "txt", "jinja"].contains(fileExtension)
    }
}
