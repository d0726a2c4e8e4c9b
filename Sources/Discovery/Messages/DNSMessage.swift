/// A message of the domain name system. **Source:** RFC 1035 §4, RFC 6762 §18.
package struct DNSMessage: Hashable, Sendable {
    /// Number of a question from a plain resolver, which its answer repeats; else 0.
    package var id: UInt16 = 0
    /// Whether it answers.
    package var isResponse = false
    /// What is asked for; 0 is a query.
    package var opcode: UInt8 = 0
    /// Whether it goes on in another message.
    package var isTruncated = false
    /// Why there is no answer; 0 is no error.
    package var code: UInt8 = 0
    /// Questions.
    package var questions: [DNSQuestion] = []
    /// Answers, or those an asking host knows already.
    package var answers: [DNSRecord] = []
    /// What a probing host means to claim.
    package var authorities: [DNSRecord] = []
    /// What the asking host will ask next.
    package var additionals: [DNSRecord] = []

    /// An empty query.
    package init() {}

    /// Whether discovery takes part in it: others are ignored. **Source:** RFC 6762 §18.3, §18.11.
    package var isOrdinary: Bool { opcode == 0 && code == 0 }

    /// Reads a message. Records of other classes than that of the Internet are left out.
    ///
    /// **Throws:** `DNSError`, the first thing that is wrong.
    package init(bytes: [UInt8]) throws(DNSError) {
        guard bytes.count <= DiscoveryLimits.datagramBytes else {
            throw .tooLarge(bytes: bytes.count, limit: DiscoveryLimits.datagramBytes)
        }
        var reader = DNSReader(bytes)
        id = try reader.number("the header")
        let flags = try reader.number("the header")
        isResponse = flags & 0x8000 != 0
        opcode = UInt8(flags >> 11 & 0xF)
        isTruncated = flags & 0x0200 != 0
        code = UInt8(flags & 0xF)
        var counts: [Int] = []
        for _ in 0..<4 { counts.append(Int(try reader.number("the header"))) }
        // Each takes bytes, so a count beyond what can follow is known at once.
        let questionLimit = min(DiscoveryLimits.questions, reader.remaining / DNSReader.leastQuestionBytes)
        guard counts[0] <= questionLimit else {
            throw .tooMany(field: "questions", count: counts[0], limit: questionLimit)
        }
        let recordCount = counts[1] + counts[2] + counts[3]
        let recordLimit = min(DiscoveryLimits.records, reader.remaining / DNSReader.leastRecordBytes)
        guard recordCount <= recordLimit else {
            throw .tooMany(field: "records", count: recordCount, limit: recordLimit)
        }
        for _ in 0..<counts[0] {
            if let question = try reader.question() { questions.append(question) }
        }
        answers = try reader.records(counts[1])
        authorities = try reader.records(counts[2])
        additionals = try reader.records(counts[3])
    }

    /// The message in bytes, names compressed. Counts beyond 65,535 do not occur: senders keep to `sentBytes`.
    package var bytes: [UInt8] {
        var writer = DNSWriter()
        writer.number(id)
        var flags = UInt16(opcode) << 11 | UInt16(code)
        // An answer of multicast DNS is always authoritative. RFC 6762 §18.4
        if isResponse { flags |= 0x8400 }
        if isTruncated { flags |= 0x0200 }
        writer.number(flags)
        for count in [questions.count, answers.count, authorities.count, additionals.count] {
            writer.number(UInt16(clamping: count))
        }
        for question in questions { writer.question(question) }
        for record in answers + authorities + additionals { writer.record(record) }
        return writer.bytes
    }
}
