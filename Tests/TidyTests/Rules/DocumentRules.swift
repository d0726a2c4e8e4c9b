/// The documents tell the truth about the tree.
enum DocumentRules {
    /// Text in backticks on a line of Markdown.
    static func codeSpans(_ line: String) -> [String] {
        line.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            .filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }

    private static func isPath(_ span: String) -> Bool {
        guard span.contains("/"), !span.hasPrefix("/"), !span.contains("://") else { return false }
        return span.utf8.allSatisfy { Ascii.isWord($0) || "/.+-".utf8.contains($0) }
    }

    /// Every path in backticks (it contains a `/` and no space) is in the tree.
    static func missingPaths(_ file: SourceFile, exists: (String) -> Bool) -> [Finding] {
        var findings: [Finding] = []
        for (index, line) in file.lines.enumerated() {
            for span in codeSpans(line) where isPath(span) && !exists(span) {
                findings.append(Finding(path: file.path, line: index + 1, problem: "\(span) does not exist"))
            }
        }
        return findings
    }

    /// Every relative link of a Markdown file leads somewhere.
    static func brokenLinks(_ file: SourceFile, exists: (String) -> Bool) -> [Finding] {
        guard file.fileExtension == "md" else { return [] }
        var findings: [Finding] = []
        for (index, line) in file.lines.enumerated() where line.contains("](") {
            for tail in line.split(separator: "](").dropFirst() {
                let link = tail.prefix { $0 != ")" && $0 != "#" && $0 != " " }
                guard !link.isEmpty, !link.contains(":"), tail.contains(")") else { continue }
                guard !exists(resolve(link, from: file.folders)) else { continue }
                findings.append(Finding(path: file.path, line: index + 1, problem: "the link \(link) leads nowhere"))
            }
        }
        return findings
    }

    private static func resolve(_ link: Substring, from folders: [String]) -> String {
        var parts = folders
        for part in link.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(String(part)) }
        }
        return parts.joined(separator: "/")
    }

    /// Every type in the column "Type" of the glossary's tables is declared in Sources.
    static func missingTypes(_ glossary: SourceFile, declared: Set<String>) -> [Finding] {
        var column: Int?
        var findings: [Finding] = []
        for (index, line) in glossary.lines.enumerated() {
            guard line.hasPrefix("|") else {
                column = nil
                continue
            }
            let cells = line.split(separator: "|", omittingEmptySubsequences: false).dropFirst().map { cell in
                cell.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            }
            if let header = cells.firstIndex(of: "Type") { column = header }
            guard let column, column < cells.count else { continue }
            for type in codeSpans(cells[column]) {
                let name = type.split(separator: ".").last.map(String.init) ?? type
                guard !declared.contains(name) else { continue }
                findings.append(Finding(path: glossary.path, line: index + 1, problem: "no type \(type) in Sources"))
            }
        }
        return findings
    }
}
