import Dialects
import Testing
import Vocabulary

@Suite struct `JSON writer` {
    @Test func `commas and brackets come by themselves`() {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("a")
        writer.beginArray()
        writer.integer(1)
        writer.string("x")
        writer.beginObject()
        writer.endObject()
        writer.null()
        writer.endArray()
        writer.key("b")
        writer.bool(false)
        writer.key("c")
        writer.string(orNull: nil)
        writer.endObject()
        #expect(writer.text == #"{"a":[1,"x",{},null],"b":false,"c":null}"#)
    }

    @Test(arguments: [
        (0.0, "0.0"), (0.1, "0.1"), (-1.5, "-1.5"), (1e21, "1e+21"), (.leastNonzeroMagnitude, "5e-324"), (.nan, "null"),
        (.infinity, "null"), (-.infinity, "null"), (Double(Int64.max), "9.223372036854776e+18"),
    ])
    func `doubles are shortest and never NaN`(value: Double, expected: String) throws {
        var writer = JSONWriter()
        writer.double(value)
        #expect(writer.text == expected)
        if value.isFinite { #expect(try JSONReader.read(writer.bytes).number?.double == value) }
    }

    @Test func `line separators of every kind are escaped`() {
        var out: [UInt8] = []
        JSONWriter.append("a\u{85}\u{2028}\u{2029}\r\n\u{0B}\u{1C}“é”…", to: &out)
        for (separator, escape) in [("\u{85}", #"\u0085"#), ("\u{2028}", #"\u2028"#), ("\u{2029}", #"\u2029"#)] {
            var alone: [UInt8] = []
            JSONWriter.append(separator, to: &alone)
            #expect(text(alone) == "\"\(escape)\"")
        }
        #expect(text(out) == #""a\u0085\u2028\u2029\r\n\u000b\u001c“é”…""#)
    }

    @Test func `any text survives writing and reading`() throws {
        let seed = seedFromEnvironment()
        print("SEED=\(seed)")
        var random = SeededRandom(seed: seed)
        for _ in 0..<2000 {
            let original = randomText(&random, limit: 20)
            var out: [UInt8] = []
            JSONWriter.append(original, to: &out)
            let back = try JSONReader.read(out).string
            #expect(back.map { bytes($0) } == bytes(original))
            #expect(!out.contains { $0 < 0x20 })
        }
    }
}

@Suite struct `Server-sent events` {
    @Test func `frames are one line and a blank line`() {
        var out: [UInt8] = []
        ServerSentEvents.appendData(bytes("{}"), to: &out)
        ServerSentEvents.appendEvent(named: "x\ny", data: bytes("1"), to: &out)
        ServerSentEvents.appendComment("a\r\nb", to: &out)
        ServerSentEvents.appendKeepAlive(to: &out)
        #expect(text(out) == "data: {}\n\nevent: x y\ndata: 1\n\n: a  b\n\n: keep-alive\n\n")
    }

    @Test(
        arguments: [
            (nil, ": queued position=2\n\n"), (0.0, ": queued position=2 wait=0.0s\n\n"),
            (12.04, ": queued position=2 wait=12.0s\n\n"), (.nan, ": queued position=2\n\n"),
            (-1, ": queued position=2\n\n"), (.infinity, ": queued position=2\n\n"),
            (1e300, ": queued position=2 wait=1000000000.0s\n\n"),
        ] as [(Double?, String)])
    func `a waiting client is told its place`(wait: Double?, expected: String) {
        var out: [UInt8] = []
        ServerSentEvents.appendQueued(position: 2, predictedWaitSeconds: wait, to: &out)
        #expect(text(out) == expected)
    }
}
