import Dialects
import Testing
import Vocabulary

@Suite struct `JSON reader` {
    private func read(_ json: String) throws -> JSONNode { try JSONReader.read(bytes(json)) }

    private func error(_ json: [UInt8]) -> JSONError? {
        do {
            _ = try JSONReader.read(json)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [
        ("null", "null"), (" true ", "true"), ("false", "false"), ("0", "0"), ("-0", "-0"), ("1.50", "1.50"),
        ("1E+2", "1E+2"), ("[]", "[]"), ("{}", "{}"), ("[ 1 , 2 ]", "[1,2]"),
        (#"{ "b" : 1 , "a" : { } }"#, #"{"b":1,"a":{}}"#), ("\t\r\n[\n]\n", "[]"), (#""""#, #""""#),
        (#""\u0041\/\b\f\n\r\t\"\\""#, #""A/\u0008\u000c\n\r\t\"\\""#), (#""\ud83d\ude00""#, #""😀""#),
        (#""é漢😀""#, #""é漢😀""#), (#""\u0000""#, #""\u0000""#), ("\"\u{7F}\"", "\"\u{7F}\""),
    ])
    func `reads what RFC 8259 allows and writes it back compactly`(json: String, compact: String) throws {
        let node = try read(json)
        #expect(bytes(node.text) == bytes(compact))
    }

    @Test func `keeps order, kinds and byte offsets`() throws {
        let node = try read(#"{"é":1, "b":[true,{"c":null}], "a":"x"}"#)
        #expect(node.members?.map(\.key) == ["é", "b", "a"])
        #expect(node["é"]?.offset == 6)
        #expect(node["b"]?[1]?["c"]?.isNull == true)
        #expect(node["b"]?[1]?["c"]?.offset == 24)
        #expect(node["b"]?[0]?.bool == true)
        #expect(node["a"]?.string == "x")
        #expect(node["b"]?[2] == nil && node["zz"] == nil && node[0] == nil)
    }

    @Test(arguments: [
        ("", JSONError.unexpectedEnd(offset: 0, expected: "a value")),
        ("[1", .unexpectedEnd(offset: 2, expected: "',' or ']'")),
        (#"{"a""#, .unexpectedEnd(offset: 4, expected: "':'")),
        (#"{"a":"#, .unexpectedEnd(offset: 5, expected: "a value")),
        (#""abc"#, .unexpectedEnd(offset: 4, expected: "the end of a string")),
        (#""abc\"#, .unexpectedEnd(offset: 5, expected: "an escape")),
        (#""\u12"#, .unexpectedEnd(offset: 5, expected: "a hexadecimal digit")),
        ("-", .unexpectedEnd(offset: 1, expected: "a digit")),
        ("tru", .unexpectedEnd(offset: 3, expected: "'true'")),
        ("nul1", .unexpectedByte(offset: 3, byte: 0x31, expected: "'null'")),
        ("[1,]", .unexpectedByte(offset: 3, byte: 0x5D, expected: "a value")),
        (#"{"a":1,}"#, .unexpectedByte(offset: 7, byte: 0x7D, expected: "a key in quotes")),
        ("{a:1}", .unexpectedByte(offset: 1, byte: 0x61, expected: "a key in quotes")),
        ("[1 2]", .unexpectedByte(offset: 3, byte: 0x32, expected: "',' or ']'")),
        ("'a'", .unexpectedByte(offset: 0, byte: 0x27, expected: "a value")),
        ("NaN", .nonFinite(offset: 0, word: "NaN", key: nil)),
        ("[Infinity]", .nonFinite(offset: 1, word: "Infinity", key: nil)),
        ("-Infinity", .nonFinite(offset: 0, word: "Infinity", key: nil)),
        (#"{"a":{"b":1},"c":NaN}"#, .nonFinite(offset: 17, word: "NaN", key: "c")),
        (#"{"a":[{"b":1},-Infinity]}"#, .nonFinite(offset: 14, word: "Infinity", key: "a")),
        ("None", .unexpectedByte(offset: 0, byte: 0x4E, expected: "a value")),
        ("-Inf", .unexpectedByte(offset: 1, byte: 0x49, expected: "a digit")),
        ("+1", .unexpectedByte(offset: 0, byte: 0x2B, expected: "a value")),
        (".5", .unexpectedByte(offset: 0, byte: 0x2E, expected: "a value")),
        ("1.e2", .unexpectedByte(offset: 2, byte: 0x65, expected: "a digit")),
        ("01", .trailingBytes(offset: 1)), ("1 1", .trailingBytes(offset: 2)), ("{}x", .trailingBytes(offset: 2)),
        ("/**/1", .unexpectedByte(offset: 0, byte: 0x2F, expected: "a value")),
        ("\u{FEFF}1", .unexpectedByte(offset: 0, byte: 0xEF, expected: "a value")),
        ("\"a\nb\"", .controlCharacter(offset: 2, byte: 0x0A)),
        (#""\x""#, .invalidEscape(offset: 1)),
        (#""\u12g4""#, .unexpectedByte(offset: 5, byte: 0x67, expected: "a hexadecimal digit")),
        (#""\ud800""#, .loneSurrogate(offset: 1)), (#""a\udc00""#, .loneSurrogate(offset: 2)),
        (#""\ud800\ud800""#, .loneSurrogate(offset: 1)), (#""\ud800\n""#, .loneSurrogate(offset: 1)),
        (#"{"a":1,"b":2,"a":3}"#, .duplicateKey(offset: 13, key: "a")),
        (#"{"a":1,"\u0061":3}"#, .duplicateKey(offset: 7, key: "a")),
    ])
    func `refuses what is no JSON and says where`(json: String, expected: JSONError) {
        #expect(error(bytes(json)) == expected)
        #expect(expected.description.isEmpty == false)
    }

    @Test(
        arguments: [
            [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xE0, 0x80, 0x80], [0xE2, 0x28, 0xA1], [0xE2, 0x82],
            [0xED, 0xA0, 0x80], [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x9F, 0x98], [0xF4, 0x90, 0x80, 0x80],
            [0xF5, 0x80, 0x80, 0x80], [0xFE], [0xFF], [0xE2, 0x82, 0x28], [0xE2, 0x82, 0xC0], [0xF0, 0x9F, 0x98, 0x28],
            [0xF0, 0x9F, 0xC2, 0x80],
        ] as [[UInt8]])
    func `refuses bytes that are not UTF-8`(sequence: [UInt8]) {
        #expect(error([0x22] + sequence + [0x22]) == .invalidUTF8(offset: 1))
        #expect(error([0x22, 0x5C, 0x6E] + sequence + [0x22]) == .invalidUTF8(offset: 3))
        #expect(error([0x7B, 0x22] + sequence + [0x22, 0x3A, 0x31, 0x7D]) == .invalidUTF8(offset: 2))
    }

    @Test func `nesting ends at the limit`() throws {
        let deepest = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        _ = try read(deepest)
        #expect(error(bytes("[" + deepest + "]")) == .tooDeep(offset: 64, limit: 64))
        let objects = String(repeating: #"{"a":"#, count: 65)
        #expect(error(bytes(objects)) == .tooDeep(offset: 320, limit: 64))
        #expect(error(Array(repeating: UInt8(ascii: "["), count: 1_000_000)) == .tooDeep(offset: 64, limit: 64))
    }

    @Test func `size, values, members and digits are bounded`() {
        #expect(throws: JSONError.tooLarge(bytes: 4, limit: 3)) { try JSONReader.read(bytes("null"), maxBytes: 3) }
        #expect(throws: JSONError.tooManyValues(offset: 5, limit: 3)) {
            try JSONReader.read(bytes("[1,2,3]"), maxNodes: 3)
        }
        let members = (0...4096).map { #""k\#($0)":0"# }.joined(separator: ",")
        #expect(error(bytes("{\(members)}")) == .tooManyMembers(offset: 0, limit: 4096))
        #expect(error(bytes(String(repeating: "1", count: 257))) == .numberTooLong(offset: 0, limit: 256))
    }

    @Test func `a duplicate is found in a large object too`() {
        let members = (0..<100).map { #""k\#($0)":0"# }.joined(separator: ",")
        #expect(error(bytes(#"{\#(members),"k57":1}"#)) == .duplicateKey(offset: 791, key: "k57"))
        #expect(error(bytes(#"{\#(members),"k100":1}"#)) == nil)
    }

    @Test(arguments: [
        ("0", JSONNumber.Integer.exact(0)), ("-0", .exact(0)), ("0.000", .exact(0)), ("0e999999999999", .exact(0)),
        ("42", .exact(42)), ("2.0", .exact(2)), ("1e3", .exact(1000)), ("1500e-2", .exact(15)), ("1.5", .fractional),
        ("1e-1", .fractional), ("1e-99999999999", .fractional), ("9223372036854775807", .exact(.max)),
        ("-9223372036854775808", .exact(.min)), ("9223372036854775808", .outOfRange),
        ("-9223372036854775809", .outOfRange), ("1e19", .outOfRange), ("1e309", .outOfRange),
        ("-1e99999999999999999999", .outOfRange), ("922337203685477580.7e1", .exact(.max)),
        ("9007199254740993", .exact(9_007_199_254_740_993)),
    ])
    func `integers are exact`(text: String, expected: JSONNumber.Integer) throws {
        #expect(try read(text).number?.integer == expected)
    }

    @Test func `doubles are the nearest or none`() throws {
        #expect(try read("0.1").number?.double == 0.1)
        #expect(try read("1e308").number?.double == 1e308)
        #expect(try read("1e309").number?.double == nil)
        #expect(try read("-1e309").number?.double == nil)
        #expect(try read("1e-400").number?.double == 0)
    }
}

@Suite struct `JSON reader fuzz` {
    private static let seeds: [String] = [
        #"{"model":"m","messages":[{"role":"user","content":"h\u00e9\ud83d\ude00"}],"n":1,"stop":["a","b"]}"#,
        #"{"a":[1,2.5,-3e10,true,false,null,{"b":[[],{}]}],"c":"é漢😀\n\t\"\\"}"#,
        #"[[[[[[1]]]]],"\u0000",1e309,0.1,-0]"#,
    ]

    @Test func `no mutation traps, and what is read can be written and read again`() throws {
        let seed = seedFromEnvironment()
        print("SEED=\(seed)")
        var random = SeededRandom(seed: seed)
        var accepted = 0
        for _ in 0..<20_000 {
            var json = bytes(Self.seeds[random.below(Self.seeds.count)])
            for _ in 0...random.below(4) { mutate(&json, &random) }
            guard let node = try? JSONReader.read(json) else { continue }
            accepted += 1
            let again = try JSONReader.read(bytes(node.text))
            #expect(bytes(again.text) == bytes(node.text))
            _ = try? OpenAI.ChatCompletion.decode(json, id: RequestID(1))
            _ = try? OpenAI.Completion.decode(json, id: RequestID(1))
        }
        #expect(accepted > 1000)
    }

    private func mutate(_ json: inout [UInt8], _ random: inout SeededRandom) {
        guard !json.isEmpty else { return }
        let place = random.below(json.count)
        switch random.below(6) {
        case 0: json[place] = UInt8(truncatingIfNeeded: random.next())
        case 1: json.remove(at: place)
        case 2: json.insert(bytes(#"{}[]",:\u0123456789eE+-.tfn "#)[random.below(27)], at: place)
        case 3: json.removeSubrange(place..<min(json.count, place + random.below(8)))
        case 4: json.append(contentsOf: json[place..<min(json.count, place + random.below(16))])
        default: json.swapAt(place, random.below(json.count))
        }
    }
}
