/// Why a bench that uses the API has no figures.
package enum BenchError: Error, Sendable, CustomStringConvertible {
    /// A server ended by itself.
    case serverEnded(name: String, lines: [String])
    /// A server did not answer in time.
    case notReady(name: String, seconds: Int, lines: [String])
    /// There is nothing to start.
    case noProgram(path: String)
    /// A server refused a request.
    case refused(name: String, status: Int, body: String)
    /// A stream ended without its end.
    case cut(name: String, pieces: Int, reason: String)
    /// An answer has another length than was asked for.
    case tokens(name: String, expected: Int, actual: Int?)
    /// Events did not arrive where they had to.
    case events(expected: Int, actual: Int)
    /// A signal asked the bench to stop.
    case interrupted

    /// A sentence with the next step.
    package var description: String {
        switch self {
        case .serverEnded(let name, let lines):
            "\(name) ended while it was measured\(Self.told(lines)); start it by hand with the same model to see why."
        case .notReady(let name, let seconds, let lines):
            "\(name) did not answer within \(seconds) s\(Self.told(lines)); try a smaller model."
        case .noProgram(let path): "There is no program at \(path); build it with `make peers`."
        case .refused(let name, let status, let body):
            "\(name) answered with status \(status): \(body); change the setting it names."
        case .cut(let name, let pieces, let reason):
            "A stream of \(name) \(reason) after \(pieces) pieces; run again with a free machine and report it if it "
                + "happens twice."
        case .tokens(let name, let expected, let actual):
            "\(name) counts \(actual.map { "\($0)" } ?? "no") tokens in an answer of \(expected); the figures would "
                + "not compare, so choose a model whose answers both servers continue."
        case .events(let expected, let actual):
            "\(actual) of \(expected) events were applied; run again and report it if it happens twice."
        case .interrupted: "The bench was interrupted; its servers were ended."
        }
    }

    private static func told(_ lines: [String]) -> String {
        lines.isEmpty ? "" : ", having said: \(lines.suffix(3).joined(separator: " / "))"
    }
}
