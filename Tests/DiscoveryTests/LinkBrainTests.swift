import Testing
import Vocabulary

@testable import Discovery

@Suite struct `Discovery on a link` {
    /// Two nodes that know each other.
    static func pair(seed: UInt64 = 1) -> VirtualLink {
        var link = VirtualLink(seed: seed)
        link.add(Samples.notice("m1", node: 1), address: Samples.address(1))
        link.add(Samples.notice("m2", node: 2), address: Samples.address(2))
        link.run(.seconds(10))
        return link
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
    func `nodes find each other, and whoever comes later finds them at once`(seed: UInt64) {
        print("SEED=\(seed)")
        var link = VirtualLink(seed: seed)
        for node in 1...5 as ClosedRange<UInt64> {
            link.add(Samples.notice("m\(node)", node: node), address: Samples.address(node))
        }
        link.run(.seconds(2))
        for index in link.hosts.indices { #expect(link.names(seenBy: index) == ["m1", "m2", "m3", "m4", "m5"]) }
        link.run(.seconds(6))
        let listener = link.add(nil, address: nil)
        link.run(.milliseconds(400))
        #expect(link.names(seenBy: listener) == ["m1", "m2", "m3", "m4", "m5"])
        #expect(link.hosts[listener].brain.sightings.first?.addresses == [Samples.address(1)].compactMap { $0 })
    }

    @Test func `a name is probed three times, then announced, and no answer leaves before`() {
        var link = VirtualLink(seed: 3)
        link.add(Samples.notice("m1", node: 1), address: Samples.address(1))
        link.run(.seconds(10))
        let probes = link.log.filter { !$0.message.authorities.isEmpty }
        let answers = link.log.filter(\.message.isResponse)
        #expect(probes.count == 3)
        #expect(zip(probes.dropFirst(), probes).allSatisfy { $0.at.since($1.at) == .milliseconds(250) })
        #expect(answers.count >= 3)
        #expect(answers[0].at.since(probes[2].at) == .milliseconds(250))
        #expect(answers.allSatisfy { $0.message.answers.count >= 1 })
        #expect(Array(answers.map { $0.at.since(answers[0].at) }.prefix(3)).contains(.seconds(1)))
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `of two nodes with one name, one takes another`(seed: UInt64) {
        print("SEED=\(seed)")
        var link = VirtualLink(seed: seed)
        link.add(Samples.notice("box", node: 1), address: Samples.address(1))
        // At once, so that both probe, or later, so that the first defends its name.
        if seed % 2 == 0 { link.run(.seconds(5)) }
        link.add(Samples.notice("box", node: 2), address: Samples.address(2))
        link.run(.seconds(20))
        let names = link.hosts.map { $0.brain.own.map { "\($0.instance)" } ?? "" }
        #expect(Set(names) == ["box._skein._tcp.local", "box (2)._skein._tcp.local"])
        if seed % 2 == 0 { #expect(names[0] == "box._skein._tcp.local") }
        for index in 0...1 { #expect(Set(link.hosts[index].brain.sightings.map(\.notice.node)) == [1, 2]) }
    }

    @Test func `the tie of RFC 6762 is decided as there`() throws {
        // §8.2.1: of 169.254.99.200 and 169.254.200.50 the second wins, because 200 is more than 99.
        let own = try #require(HostAddress(bytes: [169, 254, 99, 200]))
        let rival = try #require(HostAddress(bytes: [169, 254, 200, 50]))
        for (mine, theirs, waits) in [(own, rival, true), (rival, own, false), (own, own, false)] {
            var link = VirtualLink(seed: 1)
            link.add(Samples.notice("m1", node: 1), address: mine)
            link.run(.milliseconds(300))
            let host = try #require(link.hosts[0].brain.own?.host)
            var probe = DNSMessage()
            probe.questions = [DNSQuestion(host, type: DNSType.any)]
            probe.authorities = [DNSRecord(host, .address(theirs), seconds: 120, isUnique: true)]
            let before = try #require(link.hosts[0].brain.claim)
            link.inject(probe)
            #expect((link.hosts[0].brain.claim != before) == waits)
            if waits { #expect(link.hosts[0].brain.claim?.due == link.now.advanced(by: .seconds(1))) }
        }
    }

    @Test func `whoever objects to every name is asked ever more slowly`() throws {
        var link = VirtualLink(seed: 5)
        link.add(Samples.notice("m1", node: 1), address: Samples.address(1))
        for _ in 0..<400 {
            link.run(.milliseconds(100))
            guard let own = link.hosts[0].brain.own else { continue }
            var objection = DNSMessage()
            objection.isResponse = true
            objection.answers = [
                DNSRecord(
                    own.instance, .service(priority: 0, weight: 0, port: 1, target: .service), seconds: 120,
                    isUnique: true)
            ]
            link.inject(objection)
        }
        // 15 conflicts come quickly, afterwards one try in five seconds has three probes.
        #expect(link.log.count { !$0.message.authorities.isEmpty } < 100)
        #expect(link.hosts[0].brain.conflicts.count <= DiscoveryTimes.conflicts)
    }

    @Test func `a node that hears itself by another way does not change its name`() throws {
        var link = Self.pair()
        let own = try #require(link.hosts[0].brain.own)
        var echo = DNSMessage()
        echo.isResponse = true
        let other = try #require(HostAddress(bytes: [192, 168, 7, 7]))
        echo.answers = own.unique + [DNSRecord(own.host, .address(other), seconds: 120, isUnique: true)]
        link.give(.network(link.hosts[0].brain.addresses, machine: link.hosts[0].brain.machine.union([other])), to: 0)
        link.inject(echo)
        link.run(.seconds(2))
        #expect(link.hosts[0].brain.own == own)
        #expect(link.hosts[0].brain.claim?.phase == .settled)
    }

    @Test func `who knows the answer is not told`() throws {
        for (share, answers) in [(4500, 0), (2250, 0), (2249, 1)] as [(UInt32, Int)] {
            var link = Self.pair()
            let own = try #require(link.hosts[0].brain.own)
            var query = DNSMessage()
            query.questions = [DNSQuestion(.service, type: DNSType.ptr)]
            query.answers = [DNSRecord(.service, .pointer(own.instance), seconds: share, isUnique: false)]
            let before = link.now
            link.inject(query)
            link.run(.milliseconds(500))
            #expect(link.sent(by: 0, since: before).count == answers)
        }
    }

    @Test func `a long list of known answers is waited for`() throws {
        var link = Self.pair()
        let own = try #require(link.hosts[0].brain.own)
        var query = DNSMessage()
        query.isTruncated = true
        query.questions = [DNSQuestion(.service, type: DNSType.ptr)]
        let before = link.now
        link.inject(query)
        link.run(.milliseconds(350))
        #expect(link.sent(by: 0, since: before).isEmpty)
        var rest = DNSMessage()
        rest.answers = [DNSRecord(.service, .pointer(own.instance), seconds: 4500, isUnique: false)]
        link.inject(rest)
        link.run(.seconds(1))
        #expect(link.sent(by: 0, since: before).isEmpty)
    }

    @Test func `a record is sent to all once a second at most`() {
        var link = Self.pair()
        var query = DNSMessage()
        query.questions = [DNSQuestion(.service, type: DNSType.ptr)]
        let before = link.now
        for _ in 0..<50 {
            link.inject(query)
            link.run(.milliseconds(100))
        }
        let answers = link.sent(by: 0, since: before)
        #expect((3...6).contains(answers.count))
        #expect(zip(answers.dropFirst(), answers).allSatisfy { $0.at.since($1.at) >= .seconds(1) })
    }

    @Test func `a plain resolver gets an answer of its own, with short lives`() throws {
        var link = Self.pair()
        let own = try #require(link.hosts[0].brain.own)
        var query = DNSMessage()
        query.id = 77
        query.questions = [DNSQuestion(own.instance, type: DNSType.srv)]
        let before = link.now
        link.inject(query, port: 40000)
        let answer = try #require(link.sent(by: 0, since: before).first)
        #expect(answer.to?.port == 40000 && answer.message.id == 77 && answer.message.questions == query.questions)
        let records = answer.message.answers + answer.message.additionals
        #expect(records.allSatisfy { $0.seconds <= 10 && !$0.isUnique })
        #expect(
            records.contains {
                $0.data
                    == .address(
                        own.unique.last?.data.wireBytes == [10, 0, 0, 1]
                            ? link.hosts[0].source.address : link.hosts[1].source.address)
            })
    }

    @Test func `what a name has no records of is said`() throws {
        var link = Self.pair()
        let own = try #require(link.hosts[0].brain.own)
        var query = DNSMessage()
        query.questions = [DNSQuestion(own.host, type: DNSType.aaaa)]
        let before = link.now
        link.inject(query)
        link.run(.milliseconds(200))
        let answer = try #require(link.sent(by: 0, since: before).first?.message.answers.first)
        #expect(answer.data == .only(next: own.host, types: [DNSType.a]))
    }

    @Test func `who leaves is forgotten after a second, and who dies when its records end`() {
        var link = Self.pair()
        link.give(.leave, to: 1)
        link.hosts[1].isUp = false
        link.run(.milliseconds(900))
        #expect(link.names(seenBy: 0) == ["m1", "m2"])
        link.run(.milliseconds(200))
        #expect(link.names(seenBy: 0) == ["m1"])
        var other = Self.pair()
        other.hosts[1].isUp = false
        let before = other.now
        other.run(.seconds(100))
        #expect(other.names(seenBy: 0) == ["m1", "m2"])
        other.run(.seconds(30))
        #expect(other.names(seenBy: 0) == ["m1"])
        // It was asked for before it was given up.
        let asked = other.sent(by: 0, since: before).flatMap(\.message.questions).filter { $0.type == DNSType.srv }
        #expect((3...10).contains(asked.count))
    }

    @Test func `who lives stays known, and little is said`() {
        var link = Self.pair()
        let before = link.now
        link.run(.seconds(7200))
        #expect(link.names(seenBy: 0) == ["m1", "m2"])
        // Host records live two minutes, and are asked for before they end.
        #expect(link.sent(by: 0, since: before).count < 7200 / 20)
        let questions = link.sent(by: 0, since: before).filter {
            $0.message.questions.contains(DNSQuestion(.service, type: DNSType.ptr))
        }
        #expect((1...12).contains(questions.count))
    }

    @Test func `questions become rarer up to one in an hour`() {
        var link = VirtualLink(seed: 1)
        link.add(nil, address: nil)
        link.run(.seconds(20000))
        let gaps = zip(link.log.dropFirst(), link.log).map { $0.at.since($1.at) }
        #expect(gaps.prefix(4) == [.seconds(1), .seconds(2), .seconds(4), .seconds(8)])
        #expect(gaps.last == .seconds(3600))
    }

    @Test func `a new address replaces the old one`() throws {
        var link = Self.pair()
        let new = try #require(Samples.address(77))
        link.give(.network([new], machine: [new]), to: 1)
        link.run(.seconds(3))
        let seen = link.hosts[0].brain.sightings.first { $0.notice.node == 2 }
        #expect(seen?.addresses == [new])
    }

    @Test func `lost datagrams delay, and do no more`() {
        for seed in 1...6 as ClosedRange<UInt64> {
            print("SEED=\(seed)")
            var link = VirtualLink(seed: seed)
            link.loss = 300
            for node in 1...4 as ClosedRange<UInt64> {
                link.add(Samples.notice("m\(node)", node: node), address: Samples.address(node))
            }
            link.run(.seconds(60))
            for index in 0..<4 { #expect(link.names(seenBy: index) == ["m1", "m2", "m3", "m4"]) }
        }
    }

    @Test func `a flood of services is bounded, and pushes out nobody who is known`() {
        var link = Self.pair()
        for number in 3...400 as ClosedRange<UInt64> {
            var flood = DNSMessage()
            flood.isResponse = true
            let own = OwnRecords(
                Samples.notice("x\(number)", node: number), [Samples.address(number % 200 + 3)].compactMap { $0 },
                instanceNumber: 1, hostNumber: 1)
            flood.answers = own.all
            link.inject(flood)
        }
        #expect(link.hosts[0].brain.sightings.count == DiscoveryLimits.instances)
        #expect(link.hosts[0].brain.cache.count <= DiscoveryLimits.instances * 4)
        #expect(link.names(seenBy: 0).contains("m2"))
        #expect(link.hosts[0].brain.resolutions.count <= DiscoveryLimits.instances)
    }

    @Test func `an answer from another port is none`() {
        var link = Self.pair()
        var lie = DNSMessage()
        lie.isResponse = true
        lie.answers = Samples.own("liar", node: 9).all
        link.inject(lie, port: 1024)
        #expect(!link.names(seenBy: 0).contains("liar"))
        link.inject(lie)
        #expect(link.names(seenBy: 0).contains("liar"))
    }

    @Test func `the same inputs give the same effects`() {
        func run() -> [DNSMessage] {
            var link = VirtualLink(seed: 9)
            for node in 1...6 as ClosedRange<UInt64> {
                link.add(Samples.notice("m", node: node), address: Samples.address(node))
            }
            link.run(.seconds(60))
            return link.log.map(\.message)
        }
        #expect(run() == run())
    }

    @Test func `what does not fit one datagram goes on in the next`() throws {
        let known = (0..<100).map {
            DNSRecord(.service, .pointer(.instance("machine number \($0)")), seconds: 4000, isUnique: false)
        }
        let messages = LinkBrain.messages(asking: [DNSQuestion(.service, type: DNSType.ptr)], known: known)
        #expect(messages.count > 1 && messages.flatMap(\.answers) == known)
        #expect(messages.allSatisfy { $0.bytes.count <= DiscoveryLimits.sentBytes })
        #expect(messages.map(\.isTruncated) == messages.indices.map { $0 < messages.count - 1 })
        #expect(messages.dropFirst().allSatisfy { $0.questions.isEmpty })
    }
}
