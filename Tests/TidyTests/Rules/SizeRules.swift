/// What a reader can hold in mind: short files, functions and lines.
enum SizeRules {
    static let fileLineLimit = 600
    static let functionLineLimit = 70
    static let columnLimit = 120

    private static let codeExtensions: Set<String> = ["swift", "c", "cc", "cpp", "h", "hpp", "css", "js"]

    private static func isOurs(_ file: SourceFile) -> Bool { !file.isGenerated && !file.isData }

    static func longFiles(_ file: SourceFile) -> [Finding] {
        guard codeExtensions.contains(file.fileExtension), isOurs(file), file.lineRanges.count > fileLineLimit else {
            return []
        }
        let problem = "the file has \(file.lineRanges.count) lines, the limit is \(fileLineLimit)"
        return [Finding(path: file.path, line: fileLineLimit + 1, problem: problem)]
    }

    /// A function is counted from its keyword to its closing brace; accessors count as a whole with their property.
    static func longFunctions(_ file: SourceFile) -> [Finding] {
        guard let swift = file.swift, isOurs(file) else { return [] }
        let kinds: Set<String> = ["func", "init", "deinit", "subscript", "var"]
        return swift.declarations.compactMap { declaration in
            guard kinds.contains(declaration.keyword), let end = declaration.bodyEndLine else { return nil }
            let count = end - declaration.line + 1
            guard count > functionLineLimit else { return nil }
            let name = declaration.name.isEmpty ? declaration.keyword : "\(declaration.keyword) \(declaration.name)"
            let problem = "\(name) has \(count) lines, the limit is \(functionLineLimit)"
            return Finding(path: file.path, line: declaration.line, problem: problem)
        }
    }

    /// Columns are characters. Markdown may go on in tables, in fenced blocks, and where a link makes the line long.
    static func longLines(_ file: SourceFile) -> [Finding] {
        let isMarkdown = file.fileExtension == "md"
        guard codeExtensions.contains(file.fileExtension) || isMarkdown, isOurs(file) else { return [] }
        var isFenced = false
        var findings: [Finding] = []
        for (index, range) in file.lineRanges.enumerated() where isMarkdown || range.count > columnLimit {
            let line = file.line(index)
            if isMarkdown, line.hasPrefix("```") { isFenced.toggle() }
            guard line.count > columnLimit else { continue }
            if isMarkdown, isFenced || line.hasPrefix("|") || line.contains("://") { continue }
            let problem = "the line has \(line.count) columns, the limit is \(columnLimit)"
            findings.append(Finding(path: file.path, line: index + 1, problem: problem))
        }
        return findings
    }
}
