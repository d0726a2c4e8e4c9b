import Testing
import Vocabulary
import Wire

@Suite struct `The handshake` {
    private let hello = GoldenFrames.hello
    private let acceptor = GoldenFrames.acceptor

    @Test func `hello, welcome and refuse come back`() throws {
        let sent = try FrameBytes.write { writer throws(WireError) in try writer.hello(hello) }
        #expect(try FrameBytes.handshake(sent, newest: 2) == .hello(hello))
        var node = hello
        node.sender = nil
        node.role = .control
        let fromNode = node
        let nodeBytes = try FrameBytes.write { writer throws(WireError) in try writer.hello(fromNode) }
        #expect(try FrameBytes.handshake(nodeBytes, newest: 2) == .hello(fromNode))
        let welcome = GoldenFrames.welcome
        let welcomed = try FrameBytes.write { writer throws(WireError) in try writer.welcome(welcome) }
        #expect(try FrameBytes.handshake(welcomed) == .welcome(welcome))
    }

    @Test func `the highest common version and the common capabilities are agreed on`() throws {
        var newer = acceptor
        newer.versions = 1...4
        newer.capabilities = [.f16, .statistics]
        var offer = hello
        offer.versions = 2...3
        offer.capabilities = [.f16, .bf16]
        #expect(
            Handshake.answer(offer, by: newer)
                == .welcome(
                    Welcome(
                        version: 3, capabilities: .f16, epoch: newer.epoch, place: newer.place,
                        frameByteLimit: newer.frameByteLimit)))
    }

    @Test(arguments: [(1...2, 1...1, 1), (1...1, 1...2, 1), (2...3, 1...2, 2), (1...2, 2...3, 2)])
    func `release N and release N - 1 talk to each other`(
        dialer: ClosedRange<UInt16>, answerer: ClosedRange<UInt16>, agreed: UInt16
    ) throws {
        // Both directions over real bytes: each side writes its newest version into the header of its hello.
        var offer = hello
        offer.versions = dialer
        var local = acceptor
        local.versions = answerer
        let sent = offer
        let held = local
        let bytes = try FrameBytes.write { writer throws(WireError) in try writer.hello(sent) }
        let frame = try #require(try FrameBytes.frames(bytes, rules: .handshake).first)
        let answer = try Handshake.answer(frame.header, body: frame.body.span.bytes, by: held)
        guard case .welcome(let welcome) = answer else {
            Issue.record("\(answer)")
            return
        }
        #expect(welcome.version == agreed)
        try Handshake.check(welcome, against: sent)
        // From here on both ends speak the agreed version.
        var writer = FrameWriter(version: 0)
        try writer.welcome(welcome)
        try writer.ping(4)
        let written = FrameBytes.written(writer)
        let first = try #require(try FrameHeader.parse(written.span.bytes, rules: .handshake))
        let later = try FrameBytes.frames(
            Array(written.dropFirst(first.frameByteCount)), rules: .established(version: agreed))
        #expect([first.kind] + later.map(\.header.kind) == [.welcome, .ping])
        #expect(first.version == agreed && later.allSatisfy { $0.header.version == agreed })
    }

    @Test(arguments: [(3...4, 1...2), (1...1, 2...9)])
    func `disjoint versions are refused with both ranges named`(
        dialer: ClosedRange<UInt16>, answerer: ClosedRange<UInt16>
    ) throws {
        var offer = hello
        offer.versions = dialer
        var local = acceptor
        local.versions = answerer
        #expect(Handshake.answer(offer, by: local) == .refuse(.versions(offered: dialer, held: answerer)))
        let refusal = Refusal.versions(offered: dialer, held: answerer)
        for bound in [dialer.lowerBound, dialer.upperBound, answerer.lowerBound, answerer.upperBound] {
            #expect(refusal.description.contains("\(bound)"))
        }
        // Also when the rest of the hello makes no sense to this release.
        let sent = offer
        var bytes = try FrameBytes.write { writer throws(WireError) in try writer.hello(sent) }
        bytes[16 + 56] = 200
        FrameBytes.seal(&bytes)
        let frame = try #require(try FrameBytes.frames(bytes, rules: .handshake).first)
        #expect(
            try Handshake.answer(frame.header, body: frame.body.span.bytes, by: local)
                == .refuse(.versions(offered: dialer, held: answerer)))
    }

    @Test func `unknown capability bits and trailing fields of a newer release are passed over`() throws {
        var offer = hello
        offer.versions = 1...9
        offer.capabilities = LinkCapabilities(rawValue: .max)
        let sent = offer
        var bytes = try FrameBytes.write { writer throws(WireError) in try writer.hello(sent) }
        bytes += [1, 2, 3, 4, 5]
        FrameBytes.seal(&bytes)
        let longer = bytes
        let frame = try #require(try FrameBytes.frames(longer, rules: .handshake).first)
        guard case .welcome(let welcome) = try Handshake.answer(frame.header, body: frame.body.span.bytes, by: acceptor)
        else {
            Issue.record("refused")
            return
        }
        #expect(welcome.version == 1)
        #expect(welcome.capabilities == .all)
        // The same bytes from a release that is not newer are an encoder's fault.
        let count = longer.count - 16
        #expect(throws: WireError.lengthMismatch(field: "hello", value: count, expected: count - 5)) {
            try FrameBytes.handshake(longer, newest: 9)
        }
    }

    @Test func `every mismatch is its own refusal with both values`() throws {
        func refusal(_ change: (inout Hello) -> Void) -> Refusal? {
            var changed = hello
            change(&changed)
            guard case .refuse(let refusal) = Handshake.answer(changed, by: acceptor) else { return nil }
            return refusal
        }
        let other = ModelDigest(bytes: [UInt8](repeating: 7, count: 32))!
        let place = StagePlace(index: 0, layers: LayerRange(first: 0, end: 2))
        #expect(refusal { _ in } == nil)
        #expect(refusal { $0.cluster = "other" } == .cluster(offered: "other", held: "flock"))
        #expect(refusal { $0.placement = "p-6" } == .placement(offered: "p-6", held: "p-7"))
        let old = Epoch(term: 3, number: 8)
        let new = Epoch(term: 4, number: 0)
        #expect(refusal { $0.epoch = old } == .fenced(offered: old, held: hello.epoch))
        #expect(refusal { $0.epoch = new } == .epochAhead(offered: new, held: hello.epoch))
        #expect(refusal { $0.role = .control } == .role(offered: .control, held: [.upstream]))
        #expect(refusal { $0.receiver.index = 2 } == .stage(offered: 2, held: 1))
        let layers = LayerRange(first: 4, end: 8)
        #expect(refusal { $0.receiver.layers = layers } == .layers(offered: layers, held: acceptor.place.layers))
        #expect(refusal { $0.sender = place } == .neighbour(offered: place, held: acceptor.previous))
        #expect(refusal { $0.sender = nil } == .neighbour(offered: nil, held: acceptor.previous))
        #expect(refusal { $0.model = other } == .model(offered: other, held: hello.model))
        #expect(refusal { $0.width = 512 } == .width(offered: 512, held: 256))
        #expect(refusal { $0.format = .q8 } == .format(offered: .q8, held: .f32))
    }

    @Test func `a format needs its capability at both ends`() {
        var local = acceptor
        local.format = nil
        for format in WireFormat.allCases {
            var offer = hello
            offer.format = format
            offer.capabilities = .statistics
            let answer = Handshake.answer(offer, by: local)
            if format == .f32 {
                guard case .welcome = answer else {
                    Issue.record("\(answer)")
                    continue
                }
            } else {
                #expect(answer == .refuse(.formatUnsupported(offered: format, common: .statistics)))
            }
            offer.capabilities = .all
            guard case .welcome = Handshake.answer(offer, by: local) else {
                Issue.record("\(format)")
                continue
            }
        }
    }

    @Test func `direct return comes from the last stage and control from no stage`() {
        var entry = acceptor
        entry.place = StagePlace(index: 0, layers: LayerRange(first: 0, end: 3))
        entry.previous = nil
        entry.roles = [.directReturn, .control]
        var back = hello
        back.role = .directReturn
        back.sender = acceptor.place
        back.receiver = entry.place
        guard case .welcome = Handshake.answer(back, by: entry) else {
            Issue.record("the last stage is refused")
            return
        }
        var node = back
        node.role = .control
        #expect(Handshake.answer(node, by: entry) == .refuse(.neighbour(offered: acceptor.place, held: nil)))
        node.sender = nil
        guard case .welcome = Handshake.answer(node, by: entry) else {
            Issue.record("the node is refused")
            return
        }
    }

    static let refusals: [Refusal] = [
        .versions(offered: 1...2, held: 3...4), .cluster(offered: "a", held: "ü"),
        .placement(offered: "", held: "b"),
        .fenced(offered: Epoch(term: 1, number: 2), held: Epoch(term: 3, number: 4)),
        .epochAhead(offered: Epoch(term: 5, number: 2), held: Epoch(term: 3, number: 4)),
        .role(offered: .upstream, held: [.control, .directReturn]), .stage(offered: 1, held: 2),
        .layers(offered: LayerRange(first: 0, end: 1), held: LayerRange(first: 1, end: 2)),
        .neighbour(offered: nil, held: StagePlace(index: 3, layers: LayerRange(first: 1, end: 2))),
        .model(offered: GoldenFrames.digest, held: GoldenFrames.digest([UInt8](repeating: 255, count: 32))),
        .width(offered: 1, held: 2), .format(offered: .f16, held: .q8),
        .formatUnsupported(offered: .q8, common: .f16), .malformed(reason: "?"),
        .other(code: 999, reason: "the moon is full"),
    ]

    @Test(arguments: refusals)
    func `every refusal comes back and reads as a sentence`(refusal: Refusal) throws {
        let bytes = try FrameBytes.write { writer throws(WireError) in try writer.refuse(refusal) }
        #expect(try FrameBytes.handshake(bytes) == .refuse(refusal))
        #expect(refusal.description.count > 20)
    }

    @Test func `refusal codes are all covered here and a code of our own needs its values`() {
        #expect(Self.refusals.map(\.code) == Array(Refusal.codes) + [999])
        #expect(throws: WireError.cannotEncode(field: "refuse.code", value: 3, allowed: "above 14")) {
            try FrameBytes.write { writer throws(WireError) in try writer.refuse(.other(code: 3, reason: "x")) }
        }
    }

    @Test func `a hello that cannot be understood is refused in words, another protocol is not answered`() throws {
        let sent = try FrameBytes.write { writer throws(WireError) in try writer.hello(hello) }
        var strange = sent
        strange[16 + 56] = 9
        FrameBytes.seal(&strange)
        let frame = try #require(try FrameBytes.frames(strange, rules: .handshake).first)
        guard
            case .refuse(.malformed(let reason)) = try Handshake.answer(
                frame.header, body: frame.body.span.bytes, by: acceptor)
        else {
            Issue.record("not refused")
            return
        }
        #expect(reason.contains("hello.role"))
        var alien = sent
        alien[16] = 0
        FrameBytes.seal(&alien)
        let foreign = try #require(try FrameBytes.frames(alien, rules: .handshake).first)
        #expect(throws: WireError.self) {
            try Handshake.answer(foreign.header, body: foreign.body.span.bytes, by: acceptor)
        }
    }

    @Test func `a welcome that was not offered is refused`() throws {
        let good = Welcome(
            version: 1, capabilities: .f16, epoch: hello.epoch, place: hello.receiver, frameByteLimit: 1 << 20)
        try Handshake.check(good, against: hello)
        var bad = good
        bad.version = 3
        #expect(throws: WireError.self) { try Handshake.check(bad, against: hello) }
        bad = good
        bad.capabilities = LinkCapabilities(rawValue: 1 << 40)
        #expect(throws: WireError.self) { try Handshake.check(bad, against: hello) }
        bad = good
        bad.epoch = Epoch(term: 9, number: 9)
        #expect(throws: WireError.self) { try Handshake.check(bad, against: hello) }
        bad = good
        bad.place.index = 0
        #expect(throws: WireError.self) { try Handshake.check(bad, against: hello) }
    }
}
