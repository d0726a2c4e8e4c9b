/// A tracked text file.
///
/// What rules ask often is worked out once here: a debug build looks at a million tokens in a second or two.
struct SourceFile: Sendable, CustomStringConvertible {
    /// Path from the root of the repository.
    let path: String
    let bytes: [UInt8]
    /// The bytes of every line, without its newline.
    let lineRanges: [Range<Int>]
    /// The Swift reading; nil for other files.
    let swift: SwiftSource?
    /// Folders of the path.
    let folders: [String]
    /// File name with extension.
    let name: String
    /// What follows the name's last dot; empty without one.
    let fileExtension: String
    /// The SwiftPM target the file belongs to; nil outside Sources and Tests.
    let target: String?
    let isInSources: Bool
    let isInTests: Bool

    init(path: String, bytes: [UInt8]) {
        self.path = path
        self.bytes = bytes
        lineRanges = ByteSearch.lines(of: bytes)
        swift = path.hasSuffix(".swift") ? SwiftSource(bytes: bytes) : nil
        let parts = path.split(separator: "/").map(String.init)
        let fileName = parts.last ?? path
        let dot = fileName.lastIndex(of: ".")
        folders = parts.dropLast()
        name = fileName
        fileExtension = dot.map { $0 == fileName.startIndex ? "" : String(fileName[$0...].dropFirst()) } ?? ""
        isInSources = folders.first == "Sources"
        isInTests = folders.first == "Tests"
        target = folders.count >= 2 && (isInSources || isInTests) ? folders[1] : nil
    }

    /// The path: a failing expectation shall not print the content.
    var description: String { path }

    /// For the rules' own tests.
    init(path: String, text: String) { self.init(path: path, bytes: Array(text.utf8)) }

    /// The text of a line, counted from 0.
    func line(_ index: Int) -> String { String(decoding: bytes[lineRanges[index]], as: UTF8.self) }

    /// The text of every line; for documents, which are few.
    var lines: [String] { lineRanges.indices.map(line) }

    /// File name up to the first dot after its first character.
    var stem: String { String(name.prefix(1) + name.dropFirst().prefix { $0 != "." }) }

    /// Code written by a generator (Protocol Buffers), which owes nothing to the size rules.
    var isGenerated: Bool { name.hasSuffix(".pb.swift") || name.hasSuffix(".grpc.swift") }

    /// Data that tests read, the model's training record, and other people's words kept as they are.
    var isData: Bool {
        folders.contains("Fixtures") || path.hasPrefix("Models/training/") || name == "LICENSE"
            || ["json", "jsonl", "txt", "jinja"].contains(fileExtension)
    }
}
