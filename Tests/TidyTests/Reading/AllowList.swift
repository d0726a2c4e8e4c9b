/// The exceptions in allowed.txt: one `path|word|reason` per line, `#` starts a comment line.
struct AllowList {
    struct Key: Hashable {
        let path: String
        let word: String
    }

    struct Entry {
        let key: Key
        let line: Int
    }

    static let path = "Tests/TidyTests/allowed.txt"

    private(set) var entries: [Entry] = []
    private(set) var malformed: [Finding] = []
    private var keys: Set<Key> = []

    init(lines: [String]) {
        for (index, line) in lines.enumerated() where !line.hasPrefix("#") && line.contains(where: { !$0.isWhitespace })
        {
            let fields = line.split(separator: "|", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 3, fields.allSatisfy({ $0.contains { !$0.isWhitespace } }) else {
                let problem = "expected `path|word|reason`, found `\(line)`"
                malformed.append(Finding(path: Self.path, line: index + 1, problem: problem))
                continue
            }
            let key = Key(path: fields[0], word: fields[1])
            if keys.insert(key).inserted {
                entries.append(Entry(key: key, line: index + 1))
            } else {
                malformed.append(
                    Finding(path: Self.path, line: index + 1, problem: "\(key.path) has `\(key.word)` twice"))
            }
        }
    }

    func contains(path: String, word: String) -> Bool { keys.contains(Key(path: path, word: word)) }
}
