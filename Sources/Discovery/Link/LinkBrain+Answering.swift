import Vocabulary

/// Answers that are sent to all together.
struct WaitingAnswer: Hashable, Sendable {
    var due: Instant
    var records: [DNSRecord]
}

/// An answer to a question whose list of known answers goes on in other messages.
struct HeldAnswer: Hashable, Sendable {
    var due: Instant
    var source: DatagramSource
    var records: [DNSRecord]
}

/// **Source:** RFC 6762 §6, §7.
extension LinkBrain {
    mutating func answer(
        _ message: DNSMessage, to source: DatagramSource, _ now: Instant, _ effects: inout Effects
    ) {
        guard let own, claim?.isGranted == true else { return }
        if message.questions.isEmpty { return strike(message.answers, of: source) }
        var answers: [DNSRecord] = []
        var forOne: [DNSRecord] = []
        for question in message.questions {
            for record in own.answers(to: question) where !answers.contains(record) && !forOne.contains(record) {
                guard !Self.knows(record, message.answers) else { continue }
                if question.wantsUnicast, isFresh(record, now) {
                    forOne.append(record)
                } else {
                    answers.append(record)
                }
            }
        }
        guard source.isMulticastPort else {
            if !answers.isEmpty || !forOne.isEmpty {
                effects.send.append(Self.plainAnswer(message, answers + forOne, own, to: source))
            }
            return
        }
        if !forOne.isEmpty {
            let response = Self.response(forOne, additionals: own.additions(to: forOne))
            effects.send.append(Datagram(response, to: source))
        }
        guard !answers.isEmpty else { return }
        let isProbe = !message.authorities.isEmpty
        if isProbe {
            // Whoever probes waits a quarter of a second only.
            send(answers, own, now, interval: DiscoveryTimes.defenceInterval, &effects)
        } else if message.isTruncated, held.count < DiscoveryLimits.heldAnswers {
            let due = now.advanced(by: DiscoveryTimes.heldDelay + chance(DiscoveryTimes.answerSpread))
            held.append(HeldAnswer(due: due, source: source, records: answers))
        } else {
            let mayCollide = answers.contains { !$0.isUnique }
            let wait = mayCollide ? DiscoveryTimes.answerDelay + chance(DiscoveryTimes.answerSpread) : .zero
            queue(answers, until: now.advanced(by: wait))
        }
    }

    /// Known answers that came later than their question.
    private mutating func strike(_ known: [DNSRecord], of source: DatagramSource) {
        for index in held.indices where held[index].source == source {
            held[index].records.removeAll { Self.knows($0, known) }
        }
        held.removeAll(where: \.records.isEmpty)
    }

    /// Whether the asking host knows a record well enough. **Source:** RFC 6762 §7.1.
    private static func knows(_ record: DNSRecord, _ known: [DNSRecord]) -> Bool {
        known.contains { $0.says(record) && $0.seconds >= record.seconds / 2 }
    }

    /// Whether a record was sent to all lately, so that all know it. **Source:** RFC 6762 §5.4.
    private func isFresh(_ record: DNSRecord, _ now: Instant) -> Bool {
        guard let sent = lastSent[record] else { return false }
        return now.since(sent) < .seconds(Int64(record.seconds / 4))
    }

    private mutating func queue(_ records: [DNSRecord], until due: Instant) {
        var all = waiting?.records ?? []
        all += records.filter { !all.contains($0) }
        waiting = WaitingAnswer(due: min(due, waiting?.due ?? due), records: all)
    }

    /// Sends the answers whose time has come.
    mutating func sendAnswers(_ now: Instant, _ effects: inout Effects) {
        for answer in held where answer.due <= now { queue(answer.records, until: now) }
        held.removeAll { $0.due <= now }
        guard let due = waiting?.due, due <= now, let own else { return }
        let records = waiting?.records ?? []
        waiting = nil
        send(records, own, now, interval: DiscoveryTimes.recordInterval, &effects)
        // What was sent before the question came may have been missed by who asks, and goes out when it may.
        for record in records {
            guard let sent = lastSent[record], sent != now else { continue }
            queue([record], until: sent.advanced(by: DiscoveryTimes.recordInterval))
        }
    }

    private mutating func send(
        _ records: [DNSRecord], _ own: OwnRecords, _ now: Instant, interval: Duration, _ effects: inout Effects
    ) {
        let answers = records.filter { record in lastSent[record].map { now.since($0) >= interval } ?? true }
        guard !answers.isEmpty else { return }
        let additionals = own.additions(to: answers)
        for record in answers + additionals { lastSent[record] = now }
        effects.send.append(Datagram(Self.response(answers, additionals: additionals)))
    }

    /// The answer to a resolver that does not know of multicast. **Source:** RFC 6762 §6.7.
    private static func plainAnswer(
        _ question: DNSMessage, _ answers: [DNSRecord], _ own: OwnRecords, to source: DatagramSource
    ) -> Datagram {
        func plain(_ record: DNSRecord) -> DNSRecord {
            DNSRecord(
                record.name, record.data, seconds: min(record.seconds, DiscoveryTimes.plainSeconds), isUnique: false)
        }
        var message = response(answers.map(plain), additionals: own.additions(to: answers).map(plain))
        message.id = question.id
        message.questions = question.questions.filter { !own.answers(to: $0).isEmpty }.map {
            DNSQuestion($0.name, type: $0.type)
        }
        if message.bytes.count > DiscoveryLimits.sentBytes { message.additionals = [] }
        return Datagram(message, to: source)
    }
}
