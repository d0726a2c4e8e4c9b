import Testing
import Vocabulary

@testable import Discovery

@Suite struct `DNS messages` {
    static func bytes(_ text: String) -> [UInt8] { Hexadecimal.bytes(text.filter { !$0.isWhitespace }) ?? [] }

    static func name(_ text: String) throws -> DomainName {
        try DomainName(labels: text.split(separator: ".").map { Array($0.utf8) })
    }

    @Test func `names are compressed as in the example of RFC 1035`() throws {
        // §4.1.4: F.ISI.ARPA at 20, FOO.F.ISI.ARPA at 40, ARPA at 64, the root at 92.
        var message = [UInt8](repeating: 0, count: 93)
        message.replaceSubrange(20..<32, with: Self.bytes("01 46 03 495349 04 41525041 00"))
        message.replaceSubrange(40..<46, with: Self.bytes("03 464F4F C014"))
        message.replaceSubrange(64..<66, with: Self.bytes("C01A"))
        for (place, name, end) in [(20, "F.ISI.ARPA", 32), (40, "FOO.F.ISI.ARPA", 46), (64, "ARPA", 66), (92, "", 93)] {
            var reader = DNSReader(message, at: place)
            #expect(try reader.name() == Self.name(name))
            #expect(reader.offset == end)
        }
        // The example begins in the middle, so what the writer makes is further to the front by 20 bytes.
        var writer = DNSWriter()
        writer.name(try Self.name("F.ISI.ARPA"))
        writer.name(try Self.name("FOO.F.ISI.ARPA"))
        writer.name(try Self.name("ARPA"))
        writer.name(try Self.name(""))
        #expect(writer.bytes == Self.bytes("01 46 03 495349 04 41525041 00  03 464F4F C000  C006  00"))
    }

    @Test func `the texts of the example of RFC 6763 are read and written`() throws {
        // §6.1 and the data below it: key=value, paper=A4, passreq.
        let texts = Self.bytes("09 6B65793D76616C7565 08 70617065723D4134 07 70617373726571")
        let data = DNSData.text(["key=value", "paper=A4", "passreq"].map { Array($0.utf8) })
        #expect(data.wireBytes == texts)
        let head = Self.bytes("0000 8400 0000 0001 0000 0000  01 61 00 0010 8001 00001194 001B")
        let record = DNSRecord(try Self.name("a"), data, seconds: 4500, isUnique: true)
        let message = try DNSMessage(bytes: head + texts)
        #expect(message.isResponse && message.answers == [record])
        #expect(message.bytes == head + texts)
    }

    @Test func `a question for the service is this on the wire`() throws {
        var query = DNSMessage()
        query.questions = [DNSQuestion(.service, type: DNSType.ptr)]
        let golden = "0000 0000 0001 0000 0000 0000  06 5F736B65696E 04 5F746370 05 6C6F63616C 00  000C 0001"
        #expect(query.bytes == Self.bytes(golden))
        #expect(try DNSMessage(bytes: query.bytes) == query)
    }

    @Test func `every kind of record comes back as it went`() throws {
        let host = try Self.name("skein-1.local")
        let records = [
            DNSRecord(.service, .pointer(.instance("Büro, 2.")), seconds: 4500, isUnique: false),
            DNSRecord(
                .instance("Büro, 2."), .service(priority: 1, weight: 2, port: 7535, target: host), seconds: 120,
                isUnique: true),
            DNSRecord(
                host, .address(try #require(HostAddress(bytes: [10, 0, 0, 1]))), seconds: 120, isUnique: true),
            DNSRecord(
                host, .address(try #require(HostAddress(bytes: [UInt8](repeating: 7, count: 16)))), seconds: 1,
                isUnique: true),
            DNSRecord(host, .only(next: host, types: [1, 28, 47]), seconds: 9, isUnique: true),
            DNSRecord(host, .text([]), seconds: 9, isUnique: false),
            DNSRecord(host, .other(type: 99, bytes: [1, 2, 3]), seconds: .max, isUnique: false),
        ]
        var message = DNSMessage()
        (message.id, message.isResponse, message.isTruncated) = (7, true, true)
        message.questions = [DNSQuestion(host, type: DNSType.any, wantsUnicast: true)]
        (message.answers, message.authorities) = (Array(records[..<3]), [records[3]])
        message.additionals = Array(records[4...])
        #expect(try DNSMessage(bytes: message.bytes) == message)
        // The bitmap in the form of RFC 6762 §6.1: window 0, six bytes, types 1, 28 and 47.
        #expect(DNSData.bitmap(of: [1, 28, 47]) == Self.bytes("00 06 400000080001"))
    }

    @Test func `names are the same in upper and lower case of ASCII only`() throws {
        #expect(try Self.name("_SKEIN._Tcp.LOCAL") == .service)
        #expect(try Self.name("é.local") != Self.name("É.local"))
        #expect("\(DomainName.instance("a.b\\c"))" == "a\\.b\\\\c._skein._tcp.local")
        #expect(DomainName.instance(String(repeating: "ü", count: 40)).labels[0].count == 62)
    }

    @Test(arguments: [
        // A name that points at itself, two that point at each other, one that points forward.
        ("0000 0000 0001 0000 0000 0000 C00C 000C 0001", "pointer"),
        ("0000 0000 0002 0000 0000 0000 C012 000C 0001 C00C 000C 0001", "pointer"),
        ("0000 0000 0001 0000 0000 0000 01 61 C010 000C 0001 00", "pointer"),
        // The unused kinds of labels, and a label without its end.
        ("0000 0000 0001 0000 0000 0000 40 61 00 000C 0001", "label"),
        ("0000 0000 0001 0000 0000 0000 3F 61 00 000C 0001", "truncated"),
        // Counts that cannot be.
        ("0000 0000 FFFF 0000 0000 0000 00 000C 0001", "tooMany"),
        ("0000 8400 0000 FFFF FFFF FFFF 00 000C 0001 00000000 0000", "tooMany"),
        // Records whose data end early, late or elsewhere.
        ("0000 8400 0000 0001 0000 0000 00 0001 0001 00000000 0005 0102030405", "dataLength"),
        ("0000 8400 0000 0001 0000 0000 00 0001 0001 00000000 0004 0102", "truncated"),
        ("0000 8400 0000 0001 0000 0000 00 0010 0001 00000000 0002 0561", "dataLength"),
        ("0000 8400 0000 0001 0000 0000 00 000C 0001 00000000 0003 00 0000", "dataLength"),
        ("0000 8400 0000 0001 0000 0000 00 002F 0001 00000000 0004 00 00 21 00", "dataLength"),
        ("0000 8400 00", "truncated"), ("", "truncated"),
    ])
    func `a hostile message is refused`(text: String, kind: String) {
        let error = #expect(throws: DNSError.self) { try DNSMessage(bytes: Self.bytes(text)) }
        #expect(error.map { "\(Mirror(reflecting: $0).children.first?.label ?? "")" } == kind)
        #expect(error?.description.hasSuffix(".") == true)
    }

    @Test func `a name that grows beyond its limit by pointers is refused`() throws {
        // Each of these names is a label of 60 letters in front of the one before.
        var bytes = Self.bytes("0000 0000 0006 0000 0000 0000")
        var before = 0
        for index in 0..<6 {
            let place = bytes.count
            bytes +=
                [60] + [UInt8](repeating: 97, count: 60)
                + (index == 0 ? [0] : [0xC0 | UInt8(before >> 8), UInt8(before & 255)])
            bytes += [0, 12, 0, 1]
            before = place
        }
        #expect(throws: DNSError.name(bytes: 306, limit: 255)) { try DNSMessage(bytes: bytes) }
        let large = [UInt8](repeating: 0, count: DiscoveryLimits.datagramBytes + 1)
        #expect(throws: DNSError.tooLarge(bytes: 9001, limit: 9000)) { try DNSMessage(bytes: large) }
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `whatever comes, reading ends, and what is read can be written`(seed: UInt64) throws {
        print("SEED=\(seed)")
        var random = SeededRandom(seed: seed)
        var message = DNSMessage()
        message.isResponse = true
        message.questions = [DNSQuestion(.service, type: DNSType.ptr)]
        message.answers = Samples.own("m1", node: 1).all
        let good = message.bytes
        var read = 0
        for _ in 0..<3000 {
            var bytes = good
            for _ in 0..<1 + random.below(4) {
                switch random.below(3) {
                case 0: bytes[random.below(bytes.count)] = UInt8(random.below(256))
                case 1: bytes.removeLast(random.below(bytes.count - 1))
                default: bytes[random.below(bytes.count)] ^= 1 << UInt8(random.below(8))
                }
            }
            guard let message = try? DNSMessage(bytes: bytes) else { continue }
            read += 1
            #expect(try DNSMessage(bytes: message.bytes).answers.count == message.answers.count)
        }
        #expect(read > 0)
    }

    @Test(arguments: [
        ("0A000001", "10.0.0.1", true), ("7F000001", "127.0.0.1", false), ("E00000FB", "224.0.0.251", false),
        ("20010DB8000000000000000000000001", "2001:db8::1", true), ("00000000000000000000000000000001", "::1", false),
        ("FE800000000000000000000000000000", "fe80::", true),
        ("00010002000300040005000600070008", "1:2:3:4:5:6:7:8", true),
        ("00010000000300000000000000070008", "1:0:3::7:8", true),
        ("FF0200000000000000000000000000FB", "ff02::fb", false),
        ("00000000000000000000000000000000", "::", false), ("00000000", "0.0.0.0", false),
    ])
    func `addresses read as people write them`(digits: String, text: String, isDialable: Bool) throws {
        let address = try #require(HostAddress(bytes: Self.bytes(digits)))
        #expect(address.description == text)
        #expect(address.isDialable == isDialable)
    }

    @Test func `a notice comes back from its texts, and what is no node's is none`() {
        let notice = Samples.notice("Büro", node: 5)
        #expect(ServiceNotice(texts: notice.texts, port: 7535) == notice)
        #expect(
            ServiceNotice(texts: notice.texts + [Array("later=1".utf8), Array("name=other".utf8)], port: 7535) == notice
        )
        #expect(ServiceNotice(texts: notice.texts, port: 0) == nil)
        for index in [0, 1, 2, 3] {
            var texts = notice.texts
            texts.remove(at: index)
            #expect(ServiceNotice(texts: texts, port: 1) == nil)
        }
        #expect(notice.texts.allSatisfy { $0.count <= 255 })
    }

    @Test func `a node seen on two links is one, with all its addresses`() throws {
        let (a, b) = (
            try #require(HostAddress(bytes: [10, 0, 0, 1])), try #require(HostAddress(bytes: [10, 0, 1, 1]))
        )
        let (one, two) = (Samples.notice("m1", node: 1), Samples.notice("m2", node: 2))
        let merged = Sighting.merged([
            [Sighting(notice: two, addresses: [a]), Sighting(notice: one, addresses: [a])],
            [Sighting(notice: one, addresses: [a, b])],
        ])
        #expect(merged == [Sighting(notice: one, addresses: [a, b]), Sighting(notice: two, addresses: [a])])
    }
}
