import Vocabulary

/// Leading without a majority: the nodes that reach each other help themselves, and say so.
struct Ruling: Sendable {
    var began: Instant
    /// The version each follower has on disk.
    var versions = OrderedTable<NodeID, UInt64>()
    var nextBeat: Instant
}

extension ControlPlane {
    /// Whether this node leads without a majority.
    package var isDegradedLeader: Bool { ruling != nil }

    /// Who decides for this node at the moment, with or without a majority.
    package var currentLeader: NodeID? { leader ?? (branch?.state == nil ? nil : branch?.leader) }

    private var hasMajority: Bool {
        let voters = voters
        return voters.count { membership.isAlive($0) && !isForgetful($0) } >= Self.majority(of: voters.count)
    }

    var branchWake: Instant? {
        if let ruling { return ruling.nextBeat }
        return campaign?.kind == .claim ? campaign?.endsAt : claimAt
    }

    /// Term, seniority and id of a leader without a majority: of two that meet, the higher one leads on.
    private func rank(_ node: NodeID, term: UInt64) -> (UInt64, UInt64, UInt64) {
        // Older members, admitted by an earlier entry, come first.
        (term, UInt64.max - (effectiveState.members[node]?.admittedAt ?? UInt64.max), node.value)
    }

    mutating func tickBranch(now: Instant) {
        guard state.cluster != 0, !isRemoved, storage == nil, !hasForgotten, isLedByVotes else { return }
        if ruling != nil {
            beat(now: now)
            return
        }
        let hearsLeader = leaderHeardAt.map { now < $0.advanced(by: timings.promise) } ?? false
        let hearsRuler = branchHeardAt.map { now < $0.advanced(by: timings.branchHeartbeat.times(4)) } ?? false
        guard leading == nil, !hearsLeader, !hearsRuler, !hasMajority else {
            (aloneSince, claimAt) = (nil, nil)
            return
        }
        let since = aloneSince ?? now
        aloneSince = since
        // The most senior of those who are here goes first; the others follow, should it not.
        let own = rank(node, term: 0)
        let seniors = membership.peers.elements.count { $0.value.status == .alive && rank($0.key, term: 0) > own }
        let patience = timings.degradedAfter + timings.branchHeartbeat.times(4 * min(seniors, 8))
        claimAt = since.advanced(by: patience)
        guard campaign?.kind != .claim, since.advanced(by: patience) <= now else { return }
        // Should it come to nothing, the next try comes after as long again.
        aloneSince = now.advanced(by: electionDelay())
        claimAt = nil
        run(.claim, now: now)
    }

    /// Whether this node would follow a leader without a majority: it hears none with, and sees no majority itself.
    func mayFollowClaim(of candidate: NodeID, now: Instant) -> Bool {
        guard isLedByVotes, storage == nil, !hasForgotten, !isRemoved, leading == nil, now >= promiseUntil,
            ruling == nil, !hasMajority
        else { return false }
        if branch?.leader == candidate { return true }
        return branchHeardAt.map { now >= $0.advanced(by: timings.branchHeartbeat.times(4)) } ?? true
    }

    /// This node leads those who are here: from the committed state, what may be committed, and what an earlier
    /// leader without a majority decided.
    mutating func rule(now: Instant) {
        standDown(now: now)
        var head = state
        while let entry = log.entry(at: head.index + 1) { head.apply(entry) }
        let unmerged = (branch?.unmerged ?? BranchContent()).absorbing(branch.flatMap { content(of: $0) })
        let news = head.news(in: unmerged)
        if let events = try? head.events(for: .merge(news), stamp: .zero, term: term, wall: clock.wall(now: now)) {
            for event in events { head.apply(event) }
        }
        branch = StoredBranch(term: term, leader: node, version: 1, state: head, unmerged: unmerged)
        persist(.branch(branch))
        ruling = Ruling(began: now, nextBeat: now)
        reconciler = ReconcilerMemory()
        beat(now: now)
    }

    /// Applies what a leader without a majority decided. It lasts here, and goes to all who follow.
    mutating func ruleEvents(_ events: [ClusterEvent], command: CommandID?, now: Instant) {
        guard ruling != nil, var state = branch?.state else { return }
        for event in events { state.apply(event) }
        if let command { state.results.record(command, index: state.index, stamp: clock.next(now: now)) }
        branch?.state = state
        branch?.version += 1
        persist(.branch(branch))
        ruling?.nextBeat = now
    }

    private mutating func beat(now: Instant) {
        guard let ruling, ruling.nextBeat <= now, let branch else { return }
        for other in membership.peers.keys where membership.isPresent(other) {
            let knows = ruling.versions[other] == branch.version
            effects.send(
                other,
                .branch(BranchBeat(term: term, version: branch.version, state: knows ? nil : branch.state)))
        }
        self.ruling?.nextBeat = now.advanced(by: timings.branchHeartbeat)
    }

    mutating func follow(_ beat: BranchBeat, from other: NodeID, now: Instant) {
        func refuse() {
            let rival = ruling != nil ? node : branchHeardAt == nil || branch?.state == nil ? nil : branch?.leader
            effects.send(other, .branchReply(BranchReply(term: term, version: 0, rival: rival)))
        }
        let isSame = beat.term == term && vote == other
        // In one term a node follows one leader, with or without a majority.
        let isFree = isSame || beat.term > term || (vote == nil && beat.term == term)
        guard isLedByVotes, storage == nil, !hasForgotten, !isRemoved, leading == nil, now >= promiseUntil else {
            return refuse()
        }
        if ruling != nil {
            guard rank(node, term: term) < rank(other, term: beat.term) else { return refuse() }
            standDown(now: now)
        }
        guard isFree else { return refuse() }
        if !isSame {
            standDown(now: now)
            setTerm(beat.term, vote: other)
        }
        campaign = nil
        leader = nil
        (aloneSince, claimAt) = (nil, nil)
        branchHeardAt = now
        if let new = beat.state {
            var unmerged = branch?.unmerged ?? BranchContent()
            if let old = branch, old.leader != other || old.term != beat.term, let content = content(of: old) {
                unmerged = unmerged.absorbing(new.news(in: content))
            }
            branch = StoredBranch(
                term: beat.term, leader: other, version: beat.version, state: new, unmerged: unmerged)
            persist(.branch(branch))
        }
        let isCurrent = branch?.leader == other && branch?.term == beat.term && branch?.state != nil
        let version = isCurrent ? branch?.version ?? 0 : 0
        effects.send(other, .branchReply(BranchReply(term: term, version: version, rival: nil)))
    }

    mutating func count(_ reply: BranchReply, from other: NodeID, now: Instant) {
        noteTerm(reply.term, now: now)
        guard ruling != nil else { return }
        if let rival = reply.rival, rival != node, rank(rival, term: reply.term) > rank(node, term: term) {
            // The higher one leads on; this one waits for its heartbeat.
            standDown(now: now)
            return
        }
        if reply.version == 0, reply.rival == nil, reply.term > term {
            // It would follow, in a higher term.
            standDown(now: now)
            run(.claim, now: now)
            return
        }
        if reply.version > 0, reply.term == term {
            ruling?.versions[other] = reply.version
        } else {
            ruling?.versions[other] = nil
        }
    }

    /// What a branch came to, without what its leader had no right to decide.
    private func content(of branch: StoredBranch) -> BranchContent? {
        branch.state?.content.admissible(from: isWorker(branch.leader) ? branch.leader : nil)
    }

    /// There is a majority again: what was decided without it waits to be merged.
    mutating func leaveBranch(now: Instant) {
        ruling = nil
        branchHeardAt = nil
        guard var left = branch, let content = content(of: left) else { return }
        left.unmerged = left.unmerged.absorbing(content)
        left.state = nil
        branch = left
        handover = nil
        persist(.branch(left))
        mergeAt = now
    }

    /// Hands over what was decided without a majority, until nothing of it is news. What this node has no right to say
    /// the others hand over who were there.
    mutating func mergeBranch(now: Instant) {
        guard let current = branch, !current.unmerged.isEmpty, ruling == nil, currentLeader != nil,
            mergeAt.map({ $0 <= now }) ?? true
        else { return }
        mergeAt = now.advanced(by: timings.commandRetry + electionDelay())
        let isWhole = current.state == nil
        if isWhole, let handover, state.results.index(of: handover) != nil {
            // It was decided on. A placement that has ended since would be news again, and again.
            forgetBranch()
            return
        }
        let news = effectiveState.news(in: current.unmerged).admissible(from: isWorker(node) ? node : nil)
        guard !news.isEmpty else {
            // Only what the majority has is safe with others.
            if isWhole { forgetBranch() }
            return
        }
        ownCommands += 1
        let command = CommandID(origin: node, number: ownCommands)
        handover = isWhole && news.fitsOneEntry ? command : nil
        route(Command(id: command, issued: clock.next(now: now), action: .merge(news)), now: now)
    }

    private mutating func forgetBranch() {
        branch = nil
        handover = nil
        persist(.branch(nil))
    }
}

extension BranchContent {
    /// Whether one command decides on all of it.
    fileprivate var fitsOneEntry: Bool {
        let changes = members.count + removedMembers.count + deployments.count + removedDeployments.count
        // A placement begins and is advanced; and epochs are counted.
        return changes + settings.count + 2 * placements.count + 1 <= Limits.eventsPerEntry
    }

    /// Both contents; of two about the same thing the later one stays, and of too many the latest, which are news.
    func absorbing(_ other: BranchContent?) -> BranchContent {
        guard let other else { return self }
        var result = self
        result.lastEpoch = max(lastEpoch, other.lastEpoch)
        let tombstones = Limits.tombstoneCount
        Self.absorb(
            other.members, into: &result.members, limit: Limits.memberCount, key: \.node.value, stamp: \.stamp)
        Self.absorb(
            other.removedMembers, into: &result.removedMembers, limit: tombstones, key: \.node.value, stamp: \.stamp)
        Self.absorb(
            other.deployments, into: &result.deployments, limit: Limits.deploymentCount, key: \.name, stamp: \.stamp)
        Self.absorb(
            other.removedDeployments, into: &result.removedDeployments, limit: tombstones, key: \.name,
            stamp: \.stamp)
        Self.absorb(
            other.settings, into: &result.settings, limit: Limits.settingCount, key: \.name, stamp: \.setting.stamp)
        Self.absorb(
            other.placements, into: &result.placements, limit: Limits.placementCount, key: \.replica, stamp: \.epoch)
        return result
    }

    private static func absorb<Item, Key: Comparable & Sendable, Order: Comparable>(
        _ new: [Item], into list: inout [Item], limit: Int, key: (Item) -> Key, stamp: (Item) -> Order
    ) where Item: Sendable {
        var table = OrderedTable<Key, Item>()
        for item in list + new {
            if let known = table[key(item)], stamp(known) >= stamp(item) { continue }
            table[key(item)] = item
        }
        list = table.values
        guard list.count > limit else { return }
        let latest = list.sorted { (stamp($0), key($0)) > (stamp($1), key($1)) }.prefix(limit)
        list = latest.sorted { key($0) < key($1) }
    }
}
