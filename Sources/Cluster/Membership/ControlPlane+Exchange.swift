import Vocabulary

/// What gossip missed is mended by exchanges: a node sends digests of what it knows to one member every ten seconds,
/// and to one that came back. Where nothing differs nothing is answered, so an exchange costs the same in clusters of
/// every size.
extension ControlPlane {
    /// Exchanges that are due.
    mutating func exchange(now: Instant) {
        for other in membership.returned where membership.peers.index(of: other) != nil { beginExchange(with: other) }
        membership.returned = []
        guard let partner = membership.exchangePartner(&random, now: now) else { return }
        beginExchange(with: partner)
    }

    private mutating func beginExchange(with other: NodeID) {
        effects.send(other, .sync(Exchange([membership.ownStatus], isReply: false, digest: knowledgeDigest)))
    }

    /// What this node knows of all members.
    private var knowledgeDigest: ExchangeDigest {
        var digest = ExchangeDigest()
        digest.statuses = membership.statusDigest
        for row in marks.elements {
            digest.stages.add(row.value.stagesDigest, of: row.key)
            digest.statics.add(row.value.staticDigest, of: row.key)
        }
        digest.readings = UInt64(readings.count)
        return digest
    }

    mutating func hear(_ exchange: Exchange, from sender: NodeID, now: Instant) {
        for update in exchange.updates { membership.learn(update, from: sender, now: now) }
        var corrections: [ReadingNews] = []
        for news in exchange.news {
            if let newer = correction(of: news) { corrections.append(newer) }
            if news.reading.node == sender {
                learn(andPassOn: news)
            } else if let part = news.part {
                // Others have heard what the sender was told.
                learn([part], of: news.reading)
            }
        }
        if !corrections.isEmpty { send(corrections, with: nil, to: sender) }
        if let theirs = exchange.digest { answer(theirs, isLast: exchange.isReply, to: sender) }
    }

    /// What the sender of outdated news has not heard; nil where it is merely older. What came to nothing, as stages
    /// that ended, is told this way only.
    private func correction(of news: ReadingNews) -> ReadingNews? {
        guard let part = news.part, part.isKind, let reading = readings[news.reading.node],
            let version = marks[news.reading.node]?[part], version > ReadingVersion(news.reading.stamp)
        else { return nil }
        let isSame =
            switch part {
            case .stages: reading.stagesDigest == news.reading.stagesDigest
            case .holds: reading.holds == news.reading.holds
            default: reading.agreesOnDevices(with: news.reading)
            }
        return isSame ? nil : ReadingNews(part, of: reading, at: version)
    }

    /// Tells what differs; the first answer brings the own digests, the second one ends the exchange.
    private mutating func answer(_ theirs: ExchangeDigest, isLast: Bool, to other: NodeID) {
        let own = knowledgeDigest
        let isNew = theirs.readings <= own.readings / 2
        let statuses = own.statuses.differing(from: theirs.statuses)
        let stages = own.stages.differing(from: theirs.stages)
        let statics = own.statics.differing(from: theirs.statics)
        guard isNew || !statuses.isEmpty || !stages.isEmpty || !statics.isEmpty else { return }
        var news: [ReadingNews] = []
        if isNew {
            tellReadings(to: other)
        } else {
            // Also what is known of the other one: should it be wrong, it is corrected.
            for row in marks.elements {
                guard let reading = readings[row.key] else { continue }
                var parts: [ReadingPart] = []
                if stages.contains(row.key), !reading.stages.isEmpty { parts.append(.stages) }
                if statics.contains(row.key), !reading.holds.isEmpty { parts.append(.holds) }
                if statics.contains(row.key), reading.tellsDevices { parts.append(.devices) }
                for part in parts { news.append(ReadingNews(part, of: reading, at: row.value[part])) }
            }
        }
        let updates = membership.everything().filter { statuses.contains($0.node) }
        let digest = isLast ? nil : own
        send(news, with: Exchange(updates, isReply: true, digest: digest), to: other)
    }

    /// Tells a member that has just started what is known of the others.
    private mutating func tellReadings(to other: NodeID) {
        var news: [ReadingNews] = []
        for row in readings.elements.lazy.filter({ $0.key != other }).prefix(Limits.syncReadings) {
            guard let marks = marks[row.key] else { continue }
            for part in ReadingPart.allCases where marks[part] > ReadingVersion() {
                news.append(ReadingNews(part, of: row.value, at: marks[part]))
            }
        }
        send(news, with: nil, to: other)
    }

    /// Sends news in messages of bounded size, the first one with what goes along.
    private mutating func send(_ news: [ReadingNews], with first: Exchange?, to other: NodeID) {
        var exchange = first ?? Exchange(isReply: true)
        var size = 0
        for item in news {
            if size >= Limits.exchangeBytes || exchange.news.count >= Limits.exchangedNews {
                effects.send(other, .sync(exchange))
                exchange = Exchange(isReply: true)
                size = 0
            }
            exchange.news.append(item)
            size += item.encoded.count
        }
        if first != nil || !exchange.news.isEmpty { effects.send(other, .sync(exchange)) }
    }
}

extension Membership {
    var ownStatus: StatusUpdate { StatusUpdate(node: node, status: .alive, incarnation: incarnation) }

    /// Digest of who answers and who does not, this node included.
    var statusDigest: BucketDigest {
        var digest = BucketDigest()
        digest.add(BucketDigest.mix(node, UInt64(Liveness.alive.rawValue) + 1, incarnation), of: node)
        for row in peers.elements {
            let value = BucketDigest.mix(row.key, UInt64(row.value.status.rawValue) + 1, row.value.incarnation)
            digest.add(value, of: row.key)
        }
        return digest
    }

    /// With whom everything is compared now, if it is time. The first exchange of a node's life comes at once: it may
    /// have missed much.
    mutating func exchangePartner(_ random: inout SeededRandom, now: Instant) -> NodeID? {
        guard !peers.isEmpty, nextSync.map({ $0 <= now }) ?? true else { return nil }
        nextSync = now.advanced(by: Self.around(timings.exchangePeriod, &random))
        let alive = peers.elements.filter { $0.value.status == .alive }
        return alive.isEmpty ? nil : alive[random.below(alive.count)].key
    }
}
