import Identity
import Testing
import Vocabulary

@Suite struct `Join tickets` {
    private static let hash = String(repeating: "ab", count: 32)
    private static let secret = String(repeating: "A", count: 43)

    @Test(arguments: [
        "10.0.0.1:4750", "node-1.example:4750,10.0.0.1:4750", "[fe80::1]:4750,[2001:db8::2]:1,h:65535", "a_b.c:1",
    ])
    func `a ticket reads what it wrote`(addresses: String) throws {
        let line = "skein1:\(addresses):\(Self.hash):\(Self.secret)"
        let ticket = try JoinTicket(line)
        #expect(ticket.text == line)
        #expect(try JoinTicket("  \(line)\n") == ticket)
        #expect(try JoinTicket(" skein  join \(line)\n") == ticket)
        #expect(ticket.addresses.map(\.description).joined(separator: ",") == addresses)
    }

    @Test func `a ticket shows its secret to nobody but the one who asks for the line`() throws {
        let ticket = try JoinTicket("skein1:h:1:\(Self.hash):\(Self.secret)")
        #expect(!"\(ticket)".contains(Self.secret))
        #expect(!String(reflecting: ticket).contains(Self.secret))
        #expect(!"\(ticket.secret)".contains(Self.secret))
    }

    @Test(arguments: [
        ("", JoinTicketError.empty), ("  \n", .empty), ("hello", .notATicket), ("http://h:1", .notATicket),
        ("skein join", .notATicket), ("skein leave skein1:h:1", .notATicket),
        ("skein2:h:1:x:y", .version("skein2")), ("skein1:h:1", .missingPart),
        ("skein1:h:1:\(hash)", .missingPart), ("skein1:h:1:abc:\(secret)", .authority(length: 3)),
        ("skein1:h:1:\(hash.dropLast())g:\(secret)", .authority(length: 64)),
        ("skein1:h:1:\(hash):short", .secret(length: 5)),
        ("skein1:h:1:\(hash):\(secret.dropLast())+", .secret(length: 43)),
        // The last letter carries four bits only: the others must be zero, or two lines would mean one secret.
        ("skein1:h:1:\(hash):\(secret.dropLast())B", .secret(length: 43)),
        ("skein1::1:\(hash):\(secret)", .address(":1", finding: "a host has 1 to 253 letters")),
        ("skein1:h:0:\(hash):\(secret)", .address("h:0", finding: "a port is from 1 to 65535")),
        ("skein1:h:65536:\(hash):\(secret)", .address("h:65536", finding: "a port is from 1 to 65535")),
        ("skein1:h:x:\(hash):\(secret)", .address("h:x", finding: "it has no port from 1 to 65535")),
        ("skein1:h:+1:\(hash):\(secret)", .address("h:+1", finding: "it has no port from 1 to 65535")),
        ("skein1:fe80::1:1:\(hash):\(secret)", .address("fe80::1:1", finding: "an IPv6 address needs brackets")),
        ("skein1:[h]:1:\(hash):\(secret)", .address("[h]:1", finding: "brackets are for IPv6 addresses")),
        ("skein1:[::x]:1:\(hash):\(secret)", .address("::x:1", finding: "it is no IPv6 address")),
        (
            "skein1:a b:1:\(hash):\(secret)",
            .address("a b:1", finding: "a host has letters, digits, dots, hyphens and underscores")
        ),
        ("skein1:h:1,:\(hash):\(secret)", .address("", finding: "it has no port")),
    ])
    func `a malformed part is named`(line: String, error: JoinTicketError) {
        #expect(throws: error) { try JoinTicket(line) }
        #expect(!error.description.contains(Self.secret))
    }

    @Test func `a ticket is bounded`() throws {
        let many = (1...9).map { "h\($0):1" }.joined(separator: ",")
        #expect(throws: JoinTicketError.addressCount(9, limit: 8)) {
            try JoinTicket("skein1:\(many):\(Self.hash):\(Self.secret)")
        }
        let long = "skein1:" + String(repeating: "h", count: 1100)
        #expect(throws: JoinTicketError.tooLong(1107, limit: 1024)) { try JoinTicket(long) }
    }

    @Test func `no mutation of a ticket is taken for another one`() throws {
        let seed: UInt64 = 20_261_121
        print("SEED=\(seed)")
        var random = SeededRandom(seed: seed)
        let line = Array("skein1:10.0.0.1:4750,[fe80::1]:4751:\(Self.hash):\(Self.secret)".utf8)
        for _ in 0..<3000 {
            var bytes = line
            for _ in 0...random.below(3) {
                switch random.below(3) {
                case 0: bytes[random.below(bytes.count)] = UInt8(random.below(128))
                case 1: bytes.remove(at: random.below(bytes.count))
                default: bytes.insert(UInt8(random.below(128)), at: random.below(bytes.count))
                }
            }
            let text = String(decoding: bytes, as: UTF8.self)
            guard let ticket = try? JoinTicket(text) else { continue }
            #expect(try JoinTicket(ticket.text) == ticket)
        }
    }
}

@Suite struct `Join tokens` {
    private let now = WallTime(milliseconds: 1_795_000_000_000)
    private let key = Fingerprint(of: [1])

    private func made(uses: Int = 1, life: Duration = .seconds(3600)) throws -> (JoinTokens, JoinToken, JoinSecret) {
        var tokens = JoinTokens()
        let (token, secret) = try tokens.create(life: life, uses: uses, now: now, entropy: Draws.entropy(seed: 1))
        return (tokens, token, secret)
    }

    private static func refusal(_ redemption: JoinTokens.Redemption) -> JoinRefusal? {
        if case .refused(let refusal) = redemption { return refusal }
        return nil
    }

    @Test func `a token lets in as many nodes as it has uses`() throws {
        var (tokens, token, secret) = try made(uses: 2)
        for index: UInt8 in 0..<2 {
            #expect(Self.refusal(tokens.redeem(secret, key: Fingerprint(of: [index]), now: now)) == nil)
        }
        #expect(tokens[token.id]?.usesLeft == 0)
        #expect(Self.refusal(tokens.redeem(secret, key: Fingerprint(of: [9]), now: now)) == .usedUp(uses: 2))
    }

    @Test func `a joiner that lost the answer may ask again without a use`() throws {
        var (tokens, token, secret) = try made()
        #expect(Self.refusal(tokens.redeem(secret, key: key, now: now)) == nil)
        let before = tokens
        #expect(Self.refusal(tokens.redeem(secret, key: key, now: now)) == nil)
        #expect(tokens == before)
        #expect(tokens[token.id]?.usesLeft == 0)
    }

    @Test func `expired, revoked and unknown tokens say so`() throws {
        var (tokens, token, secret) = try made()
        let late = now.advanced(by: .seconds(3600))
        #expect(Self.refusal(tokens.redeem(secret, key: key, now: late)) == .expired(at: token.expires))
        _ = try tokens.revoke(token.id)
        #expect(Self.refusal(tokens.redeem(secret, key: key, now: now)) == .revoked(token.id))
        var other = JoinTokens()
        #expect(Self.refusal(other.redeem(secret, key: key, now: now)) == .unknownToken)
        #expect(throws: JoinTokenError.unknown(token.id.description)) { try other.revoke(token.id) }
    }

    @Test func `tokens live in settings of the cluster`() throws {
        var (tokens, token, secret) = try made(uses: 1000)
        for index in 0..<40 { _ = tokens.redeem(secret, key: Fingerprint(of: [UInt8(index)]), now: now) }
        _ = try tokens.create(life: .seconds(60), part: .worker, now: now)
        let settings = tokens.tokens.map { (name: $0.settingName, value: $0.settingValue) }
        #expect(JoinTokens(settings: settings) == tokens)
        #expect(settings.allSatisfy { $0.value.utf8.count <= 800 })
        #expect(settings.contains { $0.value.contains("\(secret.digest)") })
        #expect(tokens[token.id]?.keys.count == 16)
    }

    @Test(arguments: ["", "2 a", "1 zz 0 1 2 3 4 valid ", "1 \(String(repeating: "a", count: 64)) 0 1 2 1 9 valid "])
    func `a setting that is no token is passed over`(value: String) {
        #expect(JoinToken(settingName: "join-token/01234567", value: value) == nil)
        #expect(
            JoinTokens(settings: [(name: "join-token/01234567", value: value), (name: "x", value: "y")]) == JoinTokens()
        )
    }

    @Test func `the table is bounded, and dead tokens make room`() throws {
        var tokens = JoinTokens()
        for _ in 0..<64 { _ = try tokens.create(life: .seconds(60), now: now) }
        #expect(throws: JoinTokenError.full(limit: 64)) { try tokens.create(life: .seconds(60), now: now) }
        #expect(tokens.sweep(now: now) == [])
        let later = now.advanced(by: .seconds(61))
        #expect(tokens.sweep(now: later).count == 1)
        _ = try tokens.create(life: .seconds(60), now: later)
        #expect(tokens.sweep(now: now.advanced(by: .seconds(8 * 86_400))).count == 64)
        #expect(tokens.tokens.isEmpty)
    }

    @Test func `lives and uses out of bounds are refused with the bounds`() {
        var tokens = JoinTokens()
        #expect(throws: JoinTokenError.uses(0, limit: 1000)) {
            try tokens.create(life: .seconds(60), uses: 0, now: now)
        }
        #expect(throws: JoinTokenError.self) { try tokens.create(life: .seconds(59), now: now) }
        #expect(throws: JoinTokenError.self) { try tokens.create(life: .seconds(31 * 86_400), now: now) }
    }
}
