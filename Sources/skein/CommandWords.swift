/// The words of a command line before they are parsed.
enum CommandWords {
    /// `skein deploy --wait MODEL`: an option whose value may be left out takes one only behind `=`, or MODEL would be
    /// read as its value.
    static func read(_ words: [String]) -> [String] {
        guard words.first == "deploy" else { return words }
        let end = words.firstIndex(of: "--") ?? words.endIndex
        return words[..<end].map { $0 == "--wait" ? "--wait=\(ClientLimits.waitDefaultSeconds)" : $0 } + words[end...]
    }
}
