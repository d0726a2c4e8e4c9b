import Vocabulary

/// How far the claim to a node's names on a link is.
struct Claim: Hashable, Sendable {
    enum Phase: Hashable, Sendable {
        case probing(sent: Int)
        case announcing(sent: Int)
        case settled
    }

    var phase = Phase.probing(sent: 0)
    /// When it goes on; nil once it is settled.
    var due: Instant?

    /// Whether the names are this node's, so that it answers.
    var isGranted: Bool {
        switch phase {
        case .probing: false
        case .announcing(let sent): sent > 0
        case .settled: true
        }
    }
}

/// Names are probed before they are used, announced, and defended. **Source:** RFC 6762 §8, §9.
extension LinkBrain {
    /// Follows what is to be told, and where.
    mutating func reclaim(_ now: Instant, _ effects: inout Effects) {
        guard let notice, !addresses.isEmpty else { return withdraw(&effects) }
        let new = OwnRecords(notice, addresses, instanceNumber: instanceNumber, hostNumber: hostNumber)
        guard new != own else { return }
        if let own, own.instance == new.instance, own.host == new.host {
            self.own = new
            lastSent = [:]
            if claim?.isGranted == true { claim = Claim(phase: .announcing(sent: 0), due: now) }
            return
        }
        withdraw(&effects)
        (instanceNumber, hostNumber) = (1, 1)
        begin(now.advanced(by: chance(DiscoveryTimes.probeDelay)))
    }

    private mutating func begin(_ due: Instant) {
        own = notice.map { OwnRecords($0, addresses, instanceNumber: instanceNumber, hostNumber: hostNumber) }
        (waiting, held, lastSent) = (nil, [], [:])
        claim = Claim(due: due)
    }

    /// Takes back what was told. **Source:** RFC 6762 §10.1.
    mutating func withdraw(_ effects: inout Effects) {
        if let own, claim?.isGranted == true {
            effects.send.append(Datagram(Self.response(own.all.filter { $0.name != .allServices }.map(Self.gone))))
        }
        (own, claim, waiting, held, lastSent) = (nil, nil, nil, [], [:])
    }

    private static func gone(_ record: DNSRecord) -> DNSRecord {
        var record = record
        record.seconds = 0
        return record
    }

    static func response(_ answers: [DNSRecord], additionals: [DNSRecord] = []) -> DNSMessage {
        var message = DNSMessage()
        message.isResponse = true
        (message.answers, message.additionals) = (answers, additionals)
        return message
    }

    mutating func continueClaim(_ now: Instant, _ effects: inout Effects) {
        guard let own, let due = claim?.due, due <= now else { return }
        switch claim?.phase {
        case .probing(let sent) where sent < DiscoveryTimes.probes:
            var probe = DNSMessage()
            // Answers go to all: this host's port is shared, so one sent to it alone may reach another process.
            probe.questions = [own.instance, own.host].map { DNSQuestion($0, type: DNSType.any) }
            probe.authorities = own.unique
            effects.send.append(Datagram(probe))
            claim = Claim(
                phase: .probing(sent: sent + 1), due: now.advanced(by: DiscoveryTimes.probeInterval))
        case .probing: announce(own, sent: 0, now, &effects)
        case .announcing(let sent): announce(own, sent: sent, now, &effects)
        case .settled, nil: claim?.due = nil
        }
    }

    private mutating func announce(_ own: OwnRecords, sent: Int, _ now: Instant, _ effects: inout Effects) {
        effects.send.append(Datagram(Self.response(own.all)))
        for record in own.all { lastSent[record] = now }
        waiting = nil
        if sent + 1 < DiscoveryTimes.announcements {
            let wait = DiscoveryTimes.announcementInterval * (1 << sent)
            claim = Claim(phase: .announcing(sent: sent + 1), due: now.advanced(by: wait))
        } else {
            claim = Claim(phase: .settled, due: nil)
        }
    }

    /// Somebody answers: does another host use a name of this node?
    mutating func judge(_ message: DNSMessage, _ now: Instant, _ effects: inout Effects) {
        guard let own, let claim else { return }
        let kinds = [DNSType.srv, DNSType.txt, DNSType.a, DNSType.aaaa]
        let rivals = (message.answers + message.additionals).filter { record in
            (record.name == own.instance || record.name == own.host) && record.seconds > 0
                && kinds.contains(record.data.type) && !own.includes(record, machine: machine)
        }
        guard !rivals.isEmpty else { return }
        // A name in use is asked about once more: whoever answers then keeps it.
        if case .probing = claim.phase {
            if rivals.contains(where: { $0.name == own.instance }) {
                instanceNumber = instanceNumber % DiscoveryLimits.renamings + 1
            }
            if rivals.contains(where: { $0.name == own.host }) {
                hostNumber = hostNumber % DiscoveryLimits.renamings + 1
            }
        }
        conflicts.removeAll { now.since($0) > DiscoveryTimes.conflictWindow }
        if conflicts.count >= DiscoveryTimes.conflicts { conflicts.removeFirst() }
        conflicts.append(now)
        let wait =
            conflicts.count >= DiscoveryTimes.conflicts
            ? DiscoveryTimes.conflictPause : chance(DiscoveryTimes.probeDelay)
        begin(now.advanced(by: wait))
        if let name = self.own?.instance, name != own.instance { effects.renamed = "\(name)" }
    }

    /// Another host probes for a name at the same time: who has the lesser records waits, and then finds the name
    /// taken or free. **Source:** RFC 6762 §8.2.
    mutating func contend(_ message: DNSMessage, _ now: Instant) {
        guard let own, case .probing = claim?.phase else { return }
        for name in [own.instance, own.host] where message.questions.contains(where: { $0.name == name }) {
            let rivals = message.authorities.filter { $0.name == name }
            guard !rivals.isEmpty, !rivals.allSatisfy({ own.includes($0, machine: machine) }) else { continue }
            let (mine, theirs) = (Self.ranked(own.unique.filter { $0.name == name }), Self.ranked(rivals))
            guard mine.lexicographicallyPrecedes(theirs, by: Self.precedes) else { continue }
            claim = Claim(due: now.advanced(by: DiscoveryTimes.deferral))
        }
    }

    private typealias Rank = (type: UInt16, bytes: [UInt8])

    private static func ranked(_ records: [DNSRecord]) -> [Rank] {
        records.map { ($0.data.type, $0.data.wireBytes) }.sorted(by: precedes)
    }

    private static func precedes(_ left: Rank, _ right: Rank) -> Bool {
        left.type == right.type ? left.bytes.lexicographicallyPrecedes(right.bytes) : left.type < right.type
    }
}
