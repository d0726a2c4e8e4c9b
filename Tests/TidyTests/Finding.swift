import Testing

/// One place that breaks a house rule.
struct Finding: Hashable, CustomStringConvertible {
    let path: String
    let line: Int
    let problem: String

    /// `path:line: problem`, the form editors and terminals turn into a link.
    var description: String { "\(path):\(line): \(problem)" }
}

/// Fails the running test with one line per finding.
func expectClean(_ findings: [Finding], sourceLocation: SourceLocation = #_sourceLocation) {
    guard !findings.isEmpty else { return }
    let report = findings.map(\.description).sorted().joined(separator: "\n")
    Issue.record("\(findings.count) findings:\n\(report)", sourceLocation: sourceLocation)
}
