/// The words of a command line before they are parsed.
enum CommandWords {
    /// Makes what people write into what the parser reads.
    static func read(_ words: [String]) -> [String] {
        switch words.first {
        case "deploy": deploying(words)
        case "join": joining(words)
        default: words
        }
    }

    /// `skein deploy --wait MODEL`, `--wait 600 MODEL`: an option whose value may be left out takes one only behind
    /// `=`, or MODEL would be read as its value. A number is one where MODEL is another word.
    private static func deploying(_ words: [String]) -> [String] {
        let end = words.firstIndex(of: "--") ?? words.endIndex
        var read = Array(words[..<end])
        while let place = read.firstIndex(of: "--wait") {
            let next = place + 1
            var seconds = "\(ClientLimits.waitDefaultSeconds)"
            let isNumber = next < read.count && !read[next].isEmpty && read[next].allSatisfy(\.isWholeNumber)
            if isNumber, hasModel(read, beside: next) { seconds = read.remove(at: next) }
            read[place] = "--wait=\(seconds)"
        }
        return read + words[end...]
    }

    /// Whether a word beside that at `place` may be MODEL: one that is no option, and behind none.
    private static func hasModel(_ words: [String], beside place: Int) -> Bool {
        words.indices.dropFirst().contains { index in
            let before = words[index - 1]
            let isBehindOption = before.hasPrefix("-") && !before.contains("=") && before != "--json"
            return index != place && !words[index].hasPrefix("-") && (!isBehindOption || index - 1 == place)
        }
    }

    /// `skein join skein join skein1:…`: the line that `skein token create` prints, behind the same words.
    private static func joining(_ words: [String]) -> [String] {
        words.dropFirst().prefix(2) == ["skein", "join"] ? ["join"] + words.dropFirst(3) : words
    }
}
