/// Pure targets take time, randomness and identity as inputs, so the same inputs give the same outputs.
enum PurityRules {
    /// Words that mean a hidden input wherever they stand.
    private static let words: Set<String> = [
        "ContinuousClock", "SuspendingClock", "SystemRandomNumberGenerator", "clock_gettime", "gettimeofday",
        "arc4random", "hashValue",
    ]
    /// Hidden inputs when called.
    private static let constructors: Set<String> = ["Date", "UUID", "Hasher"]
    /// Members that draw from the system's generator when they are given no other.
    private static let draws: Set<String> = ["shuffled", "shuffle", "randomElement"]

    static func hiddenInputs(_ file: SourceFile, manifest: Manifest) -> [Finding] {
        guard let code = file.swift?.code, file.isInSources, let name = file.target,
            manifest.target(name)?.isPure ?? false
        else { return [] }
        return code.indices.compactMap { index in
            guard let word = hiddenInput(at: index, in: code) else { return nil }
            let problem = "\(name) is pure: `\(word)` must come in as a value (Instant, SeededRandom, an id)"
            return Finding(path: file.path, line: code[index].line, problem: problem)
        }
    }

    private static func hiddenInput(at index: Int, in code: [SwiftToken]) -> String? {
        let token = code[index]
        guard token.kind == .word else { return nil }
        if words.contains(token.text) { return token.text }
        guard index + 2 < code.count, code[index + 1].isSymbol("(") else { return nil }
        let isMember = index > 0 && code[index - 1].isSymbol(".")
        if constructors.contains(token.text), !isMember { return token.text + "(" }
        if token.text == "random", isMember { return ".random(" }
        let takesNothing = code[index + 2].isSymbol(")")
        return isMember && takesNothing && draws.contains(token.text) ? ".\(token.text)()" : nil
    }
}
