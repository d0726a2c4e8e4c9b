/// What must not be in any tracked text. The words are spelled in pieces, because this file is tracked text too.
enum TextRules {
    static let reminders = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]
    static let machinePaths = ["work", "root", "home", "Users"].map { "/" + $0 + "/" }
    static let hosts = [
        "py" + "pi.org", "python" + "hosted.org", "npm" + "js.", "crates" + ".io", "ruby" + "gems.org",
        "proxy." + "golang.org", "deb." + "debian.org", "arti" + "factory",
    ]
    /// Allowed where people follow links: the manifest and Markdown.
    static let linkHosts = ["git" + "hub.com"]

    /// Work left over is an issue or it is done; the source carries no notes to self.
    static func leftReminders(_ file: SourceFile) -> [Finding] {
        guard !file.isData else { return [] }
        return matches(reminders, in: file, isHit: isWholeWord).map { line, word in
            Finding(path: file.path, line: line, problem: "'\(word)': finish it, or open an issue and delete the note")
        }
    }

    static func pathsOfAMachine(_ file: SourceFile) -> [Finding] {
        matches(machinePaths, in: file, isHit: startsPath).map { line, path in
            Finding(path: file.path, line: line, problem: "'\(path)' is a path of one machine")
        }
    }

    static func registryHosts(_ file: SourceFile) -> [Finding] {
        guard file.name != "LICENSE" else { return [] }
        let mayLink = file.path == "Package.swift" || file.fileExtension == "md"
        return matches(mayLink ? hosts : hosts + linkHosts, in: file) { _, _ in true }.map { line, host in
            Finding(path: file.path, line: line, problem: "'\(host)' ties the project to one registry")
        }
    }

    private static func matches(
        _ words: [String], in file: SourceFile, isHit: ([UInt8], Range<Int>) -> Bool
    ) -> [(line: Int, word: String)] {
        words.flatMap { word in
            ByteSearch.ranges(of: word, in: file.bytes).filter { isHit(file.bytes, $0) }.map { range in
                (file.bytes[..<range.lowerBound].count { $0 == Ascii.newline } + 1, word)
            }
        }
    }

    private static func isWholeWord(_ bytes: [UInt8], _ range: Range<Int>) -> Bool {
        let before = range.lowerBound > 0 && Ascii.isWord(bytes[range.lowerBound - 1])
        let after = range.upperBound < bytes.count && Ascii.isWord(bytes[range.upperBound])
        return !before && !after
    }

    /// `/x/` inside a longer path or after a variable is no absolute path.
    private static func startsPath(_ bytes: [UInt8], _ range: Range<Int>) -> Bool {
        guard range.lowerBound > 0 else { return true }
        let before = bytes[range.lowerBound - 1]
        return !Ascii.isWord(before)
            && ![Ascii.dot, Ascii.tilde, Ascii.closeBrace, Ascii.closeParenthesis].contains(before)
    }
}
