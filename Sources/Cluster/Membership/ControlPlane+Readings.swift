import Vocabulary

/// When parts of the own reading go around among the members. The leader, who plans, hears all of it at once.
struct ReadingRounds: Sendable {
    /// Next time for memory and disk, and for links.
    var figures: Instant?
    var links: Instant?
    /// Changes of stages go around from then on; nil when nobody waits for them.
    var stagesDue: Instant?
    /// When stages went around last.
    var stagesAt: Instant?
    /// What was told last.
    var stages: [StageReport] = []
    var stagesDigest: UInt32 = 0
    var told: NodeReading?
    /// Whether the node has been measured in this life; before that it does not know what it has.
    var isMeasured = false
}

extension ControlPlane {
    /// The shell measured this node; the stages are this brain's own knowledge.
    mutating func measured(_ reading: NodeReading) {
        // Others can fetch a model only from whom they know to have it.
        if reading.holds != ownReading.holds { readingChanged = true }
        ownReading = reading
        ownReading.node = node
        rounds.isMeasured = true
    }

    /// Tells the leader at once and everybody by and by.
    mutating func publishReading(now: Instant) {
        guard state.cluster != 0 else { return }
        let isNewLeader = currentLeader != nil && currentLeader != toldLeader
        if readingChanged || isNewLeader || nextReading.map({ $0 <= now }) ?? true {
            toldLeader = currentLeader
            nextReading = now.advanced(by: timings.readingPeriod)
            readingChanged = false
            ownReading.stages = agent.reports
            ownReading.stamp = clock.next(now: now)
            let reading = ownReading.bounded()
            readings[node] = reading
            var own = ReadingMarks()
            for part in ReadingPart.allCases where rounds.isMeasured || part == .stages {
                own[part] = ReadingVersion(reading.stamp)
            }
            own.digest(reading)
            marks[node] = own
            readingCount += 1
            if let leader = currentLeader, leader != node { effects.send(leader, .report(reading)) }
            goRound(reading, own, now: now)
        }
        tellStages(now: now)
    }

    /// Tells the members what is due of the own reading. What only drifts, as free memory does, goes around the less
    /// often the more members there are; what a node holds when it changes.
    private mutating func goRound(_ reading: NodeReading, _ own: ReadingMarks, now: Instant) {
        let period = membership.readingPeriod
        let isSmall = period == timings.readingPeriod
        func tell(_ part: ReadingPart) { membership.tell(ReadingNews(part, of: reading, at: own[part])) }
        /// Of many members that start together, each begins at a time of its own.
        func isDue(_ round: inout Instant?, _ period: Duration) -> Bool {
            guard let due = round else {
                let first = isSmall ? 0 : random.below(Int(clamping: period.milliseconds))
                round = now.advanced(by: .milliseconds(first))
                return isSmall
            }
            guard due <= now else { return false }
            round = now.advanced(by: isSmall ? period : Membership.around(period, &random))
            return true
        }
        if isDue(&rounds.figures, isSmall ? .zero : period) { tell(.figures) }
        if isDue(&rounds.links, membership.linkPeriod), !reading.links.isEmpty { tell(.links) }
        // In a large cluster the first exchange of a node's life finds out what of this is news.
        let told = rounds.told ?? (isSmall ? NodeReading(node: node) : reading)
        if rounds.isMeasured {
            if told.holds != reading.holds { tell(.holds) }
            if !told.agreesOnDevices(with: reading) { tell(.devices) }
            rounds.told = reading
        }
        // How far stages are interests people only while they are on their way; else it goes along with the rest.
        let isOld = rounds.stagesAt.map { $0.advanced(by: reading.isUnderWay ? timings.readingPeriod : period) <= now }
        let hasNews = own.stagesDigest != rounds.stagesDigest
        guard hasNews || (isOld ?? true) && reading.stages != rounds.stages, rounds.stagesDue == nil else { return }
        rounds.stagesDue = max(now, rounds.stagesAt.map { $0.advanced(by: timings.stageRound) } ?? now)
    }

    /// Stages change several times within a second when an epoch begins or ends; that goes around together.
    private mutating func tellStages(now: Instant) {
        guard let due = rounds.stagesDue, due <= now, let reading = readings[node], let own = marks[node] else {
            return
        }
        (rounds.stagesDue, rounds.stagesAt) = (nil, now)
        (rounds.stages, rounds.stagesDigest) = (reading.stages, own.stagesDigest)
        membership.tell(ReadingNews(.stages, of: reading, at: own[.stages]))
    }

    /// Takes a whole reading; which parts were news. A node that has not measured itself yet, as it just started, tells
    /// of its stages and nothing else.
    @discardableResult
    mutating func learn(_ reading: NodeReading) -> [ReadingPart] {
        learn(reading.isMeasured ? ReadingPart.allCases : [.stages], of: reading)
    }

    /// Takes parts of a reading that are newer than what is known; which those were.
    @discardableResult
    mutating func learn(_ parts: [ReadingPart], of reading: NodeReading) -> [ReadingPart] {
        guard reading.node != node, effectiveState.members[reading.node] != nil else { return [] }
        let version = ReadingVersion(reading.stamp)
        var known = marks[reading.node] ?? ReadingMarks()
        let news = parts.filter { version > known[$0] }
        guard !news.isEmpty else { return [] }
        clock.observe(reading.stamp)
        var whole = readings[reading.node] ?? NodeReading(node: reading.node)
        if news.contains(.stages), whole.stages != reading.stages { reconciler.nextPass = nil }
        for part in news {
            known[part] = version
            whole.take(part, from: reading)
        }
        if news.contains(where: \.isKind) { known.digest(whole) }
        whole.stamp = known.known.stamp(of: reading.node)
        marks[reading.node] = known
        readings[reading.node] = whole
        readingCount += 1
        return news
    }

    /// Takes news, and tells others what they will not have heard yet: a newer stamp on what a node has had for long
    /// is no news.
    mutating func learn(andPassOn news: ReadingNews) {
        guard let part = news.part else { return }
        let before = marks[news.reading.node]?.staticDigest
        guard !learn([part], of: news.reading).isEmpty else { return }
        let isSame = marks[news.reading.node]?.staticDigest == before
        if (part == .holds || part == .devices) && isSame { return }
        membership.tell(news)
    }
}
