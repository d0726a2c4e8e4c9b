import Foundation

/// The tracked text files of the repository, read and lexed once for all rules.
///
/// What is tracked is known by place and name, not from git: a source archive without history is checked the same way.
struct SourceTree: Sendable, CustomStringConvertible {
    let root: URL
    /// Sorted by path.
    let files: [SourceFile]

    /// The repository this file stands in.
    static let shared = SourceTree(
        root: URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent())

    /// Folders whose files are tracked; everything else at the top is a build product or somebody's own.
    private static let folders = [
        "Benchmarks", "Dashboard", "Fuzz", "Models", "Proto", "Scripts", "Sources", "Tests", "docs", ".ci",
    ]
    private static let textExtensions: Set<String> = [
        "swift", "c", "cc", "cpp", "h", "hpp", "modulemap", "md", "txt", "sh", "py", "json", "jsonl", "toml", "yml",
        "yaml", "html", "css", "js", "proto", "cmake", "gbnf", "jinja",
    ]
    private static let textNames: Set<String> = [
        "Makefile", "LICENSE", "NOTICE", "LLAMA_CPP_VERSION", ".gitignore", ".swift-format", ".editorconfig", "run",
    ]
    /// Larger files are data; the largest source allowed is far below.
    private static let sizeLimit = 1 << 20

    init(root: URL) {
        self.root = root
        var paths: [String] = []
        for folder in Self.folders {
            let walker = FileManager.default.enumerator(atPath: root.appending(path: folder).path)
            while let found = walker?.nextObject() as? String { paths.append("\(folder)/\(found)") }
        }
        paths += (try? FileManager.default.contentsOfDirectory(atPath: root.path)) ?? []
        files = paths.filter(Self.isText).sorted().compactMap { path in
            let place = root.appending(path: path)
            guard let data = try? Data(contentsOf: place), data.count <= Self.sizeLimit else { return nil }
            return SourceFile(path: path, bytes: Array(data))
        }
    }

    private static func isText(_ path: String) -> Bool {
        let parts = path.split(separator: "/")
        guard let name = parts.last, !parts.contains(".build"), !parts.contains("__pycache__") else { return false }
        if textNames.contains(String(name)) { return true }
        guard let dot = name.lastIndex(of: ".") else { return false }
        return textExtensions.contains(String(name[name.index(after: dot)...]))
    }

    /// Short, or a failing expectation would print every token of every file.
    var description: String { "\(files.count) files" }

    /// Whether a path from the root exists, file or folder.
    func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appending(path: path).path)
    }

    /// Runs a rule over every file.
    func findings(_ rule: (SourceFile) -> [Finding]) -> [Finding] { files.flatMap(rule) }

    /// The file at a path, when it is tracked.
    func file(_ path: String) -> SourceFile? { files.first { $0.path == path } }
}
