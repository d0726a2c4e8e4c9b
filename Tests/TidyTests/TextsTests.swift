import Testing

@Suite struct `Texts` {
    @Test func `no reminder is left behind`() {
        expectClean(SourceTree.shared.findings(TextRules.leftReminders))
    }

    @Test func `no path of a machine is written down`() {
        expectClean(SourceTree.shared.findings(TextRules.pathsOfAMachine))
    }

    @Test func `no registry host is written down`() {
        expectClean(SourceTree.shared.findings(TextRules.registryHosts))
    }

    private static func file(_ text: String, path: String = "Sources/Wire/X.swift") -> SourceFile {
        SourceFile(path: path, text: text)
    }

    @Test(arguments: TextRules.reminders)
    func `a reminder is found`(word: String) {
        #expect(TextRules.leftReminders(Self.file("// \(word): later")).count == 1)
        #expect(TextRules.leftReminders(Self.file("mktemp \(word)\(word)")).isEmpty)
        #expect(TextRules.leftReminders(Self.file(word, path: "Models/training/words.txt")).isEmpty)
    }

    @Test(arguments: TextRules.machinePaths)
    func `a path of a machine is found`(path: String) {
        #expect(TextRules.pathsOfAMachine(Self.file("open(\"\(path)x\")")).count == 1)
        #expect(TextRules.pathsOfAMachine(Self.file("\(path)x")).count == 1)
        #expect(TextRules.pathsOfAMachine(Self.file("docs\(path)x $base\(path)x ${x}\(path)x ./a\(path)")).isEmpty)
    }

    @Test(arguments: TextRules.hosts + TextRules.linkHosts)
    func `a registry host is found`(host: String) {
        #expect(TextRules.registryHosts(Self.file("let url = \"https://\(host)/x\"")).count == 1)
    }

    @Test(arguments: TextRules.linkHosts)
    func `documents and the manifest may link`(host: String) {
        #expect(TextRules.registryHosts(Self.file("https://\(host)/x", path: "docs/x.md")).isEmpty)
        #expect(TextRules.registryHosts(Self.file("https://\(host)/x", path: "Package.swift")).isEmpty)
    }
}
