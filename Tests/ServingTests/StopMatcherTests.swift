import Serving
import Testing
import Vocabulary

@Suite struct `Stop texts` {
    /// The rule in its plainest form: look at every end in turn, take the longest stop text that ends there.
    private func plain(_ text: String, _ stops: [String]) -> (String, String?) {
        let bytes = Array(text.utf8)
        for end in 0...bytes.count {
            let met = stops.filter { bytes[..<end].suffix($0.utf8.count).elementsEqual($0.utf8) }
            guard let longest = met.max(by: { $0.utf8.count < $1.utf8.count }) else { continue }
            return (String(decoding: bytes[..<(end - longest.utf8.count)], as: UTF8.self), longest)
        }
        return (text, nil)
    }

    @Test func `are found the same way however the text is cut`() {
        for seed in Seeds.first(500) {
            var random = SeededRandom(seed: seed)
            let letters = ["a", "b", "é", "🪿"]
            func word(_ longest: Int) -> String {
                (0...random.below(longest)).map { _ in letters[random.below(letters.count)] }.joined()
            }
            let stops = (0...random.below(3)).map { _ in word(4) }
            let text = word(30)
            var matcher = StopMatcher(stops)
            var seen = ""
            var met: String?
            var rest = text.unicodeScalars[...]
            while !rest.isEmpty, met == nil {
                let piece = rest.prefix(1 + random.below(4))
                let step = matcher.push(String(String.UnicodeScalarView(piece)))
                seen += step.released
                met = step.met
                rest = rest.dropFirst(piece.count)
            }
            if met == nil { seen += matcher.finish() }
            let expected = plain(text, stops)
            #expect(seen == expected.0 && met == expected.1, "SEED=\(seed) text \(text) stops \(stops)")
        }
    }

    @Test func `keep back what may still become one and give it back`() {
        var matcher = StopMatcher(["###", "END"])
        #expect(matcher.push("one ##") == ("one ", nil))
        #expect(matcher.push(" two E") == ("## two ", nil))
        #expect(matcher.push("N") == ("", nil))
        #expect(matcher.push("D of it") == ("", "END"))
    }

    @Test func `nothing is kept back without stop texts`() {
        var matcher = StopMatcher([])
        #expect(matcher.push("abc") == ("abc", nil))
        #expect(matcher.finish() == "")
    }
}

private func == (left: (String, String?), right: (String, String?)) -> Bool {
    left.0 == right.0 && left.1 == right.1
}
