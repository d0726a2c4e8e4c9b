import Foundation
import Vocabulary

/// The seed of a random test: `SEED` from the environment, else a fixed one.
func seedFromEnvironment() -> UInt64 { ProcessInfo.processInfo.environment["SEED"].flatMap(UInt64.init) ?? 20_261_121 }

/// Text of up to `limit` scalars from the corners of Unicode and of JSON.
func randomText(_ random: inout SeededRandom, limit: Int) -> String {
    let alphabet: [Unicode.Scalar] = [
        "a", "Z", "0", " ", "\"", "\\", "/", "\n", "\r", "\t", "\u{0}", "\u{1F}", "\u{7F}", "\u{85}", "é", "😀",
        "\u{2028}", "\u{2029}", "\u{200D}", "\u{301}", "\u{FFFD}", "\u{10FFFF}", "{", "}", "[", "]", ":", ",",
    ]
    var text = ""
    for _ in 0..<random.below(limit + 1) { text.unicodeScalars.append(alphabet[random.below(alphabet.count)]) }
    return text
}
