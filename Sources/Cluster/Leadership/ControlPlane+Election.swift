import Vocabulary

/// A try to lead.
struct Campaign: Sendable {
    var kind: VoteKind
    var term: UInt64
    var granted: [NodeID]
    /// Who is asked when it is no matter of the voters.
    var electorate: [NodeID]
    var endsAt: Instant
}

extension ControlPlane {
    mutating func electionDelay() -> Duration {
        .milliseconds(random.below(max(1, Int(timings.electionSpread.milliseconds))))
    }

    /// What this node knows of who leads, for others.
    var hint: LeaderHint {
        let degraded = branch?.state == nil ? nil : branch?.leader
        return LeaderHint(
            term: max(term, highestTerm), leader: leader ?? degraded, commit: commit, hasForgotten: hasForgotten)
    }

    private var mayLead: Bool { storage == nil && !hasForgotten && log.last.index > 0 && !isCoordinatedElsewhere }

    /// A leader that gave its own vote away may be the only one who knows; until that is committed it is needed to
    /// pass it on, so it may lead once more, by the votes of the others.
    /// After a restart nothing is known to be committed, so every entry that made it a voter counts.
    private var isVoter: Bool {
        voters.contains(node) || state.voters.contains(node) || log.hasVoter(node, after: state.index)
    }

    var electionWake: Instant? {
        guard coordination == nil else { return coordinationWake }
        guard leading == nil, mayLead, isVoter, !isRemoved else { return nil }
        return campaign.map { min($0.endsAt, electionAt) } ?? electionAt
    }

    mutating func tickElection(now: Instant) {
        guard coordination == nil else { return tickCoordination(now: now) }
        if let current = campaign, current.endsAt <= now { campaign = nil }
        guard leading == nil, mayLead, isVoter, !isRemoved, electionAt <= now else { return }
        run(voters == [node] ? .vote : .probe, now: now)
    }

    /// Begins a campaign. A real one takes a new term, and the vote for oneself lasts before anybody hears of it.
    mutating func run(_ kind: VoteKind, now: Instant) {
        let next = max(term, highestTerm) + 1
        let predecessor = term
        leader = nil
        electionAt = now.advanced(by: timings.campaign + electionDelay())
        let present =
            kind == .claim ? membership.peers.keys.filter { membership.isAlive($0) && !isForgetful($0) } + [node] : []
        campaign = Campaign(
            kind: kind, term: next, granted: [node], electorate: present, endsAt: now.advanced(by: timings.campaign))
        if kind != .probe { setTerm(next, vote: node) }
        let request = VoteRequest(
            kind: kind, term: next, lastIndex: log.last.index, lastTerm: log.last.term, predecessor: predecessor)
        for other in kind == .claim ? present : voters where other != node { effects.send(other, .vote(request)) }
        countVotes(now: now)
    }

    /// Says yes or no to a candidate.
    mutating func answer(_ request: VoteRequest, from candidate: NodeID, now: Instant) {
        let isGranted: Bool
        switch request.kind {
        case .probe: isGranted = mayHelp(request, now: now) && request.term > term
        case .vote, .succession: isGranted = mayHelp(request, now: now) && grant(request, to: candidate, now: now)
        case .claim: isGranted = mayFollowClaim(of: candidate, now: now) && grant(request, to: candidate, now: now)
        }
        effects.send(
            candidate,
            .voteReply(VoteReply(kind: request.kind, asked: request.term, term: term, isGranted: isGranted)))
    }

    /// Whether nothing speaks against this candidate: no promise to a live leader, and its log holds all that may be
    /// committed.
    private func mayHelp(_ request: VoteRequest, now: Instant) -> Bool {
        guard storage == nil, !hasForgotten, !isRemoved, isLedByVotes else { return false }
        let isReleased = request.kind == .succession && request.predecessor >= term
        if !isReleased, leading != nil || now < promiseUntil { return false }
        return !(EventLog.Position(index: request.lastIndex, term: request.lastTerm) < log.last)
    }

    /// Gives the one vote of a term; it lasts before the answer leaves.
    private mutating func grant(_ request: VoteRequest, to candidate: NodeID, now: Instant) -> Bool {
        guard request.term > term || (request.term == term && vote == candidate) else { return false }
        guard request.term > term else { return true }
        standDown(now: now)
        setTerm(request.term, vote: candidate)
        electionAt = max(electionAt, now.advanced(by: timings.campaign + electionDelay()))
        return true
    }

    mutating func count(_ reply: VoteReply, from voter: NodeID, now: Instant) {
        noteTerm(reply.term, now: now)
        guard let current = campaign, current.kind == reply.kind, current.term == reply.asked, reply.isGranted,
            !current.granted.contains(voter)
        else { return }
        campaign?.granted.append(voter)
        countVotes(now: now)
    }

    private mutating func countVotes(now: Instant) {
        guard let current = campaign else { return }
        let electorate = current.kind == .claim ? current.electorate : voters
        let votes = current.granted.count { electorate.contains($0) }
        guard votes >= Self.majority(of: electorate.count) else { return }
        campaign = nil
        switch current.kind {
        case .probe: run(.vote, now: now)
        case .vote, .succession: lead(now: now)
        case .claim: rule(now: now)
        }
    }

    /// A higher term exists. A leader that is followed by a majority takes a higher one still, without giving way.
    mutating func noteTerm(_ other: UInt64, now: Instant) {
        highestTerm = max(highestTerm, other)
        // Also when it was heard of before this node began to lead.
        guard leading != nil, highestTerm > term else { return }
        guard coordination == nil else { return giveUpTenure(now: now) }
        leading = nil
        run(.succession, now: now)
    }

    mutating func noteHint(_ hint: LeaderHint, now: Instant) {
        noteTerm(hint.term, now: now)
        // A learner is told only what is new; when others know more, it asks. One that started again so quickly that
        // nobody noticed has all entries and was told nothing of them.
        guard hint.commit > commit, let other = hint.leader, other != node, leading == nil,
            leaderHeardAt.map({ $0.advanced(by: timings.promise) <= now }) ?? true, log.last.index > 0
        else { return }
        leaderHeardAt = now
        effects.send(other, appendReply(false, log.last.index + 1, sentAt: 0))
    }

    /// Ends every role of this node.
    mutating func standDown(now: Instant) {
        leading = nil
        campaign = nil
        leader = nil
        if ruling != nil {
            ruling = nil
            branchHeardAt = now
        }
    }

    /// Gives leadership away: the voter that knows most is asked to follow at once.
    mutating func resign(now: Instant) {
        guard let current = leading else { return }
        leading = nil
        leader = nil
        electionAt = now.advanced(by: timings.promise + electionDelay())
        let heirs = voters.filter { $0 != node && membership.isAlive($0) && !isForgetful($0) }
        let heir = heirs.max { (current.progress[$0]?.match ?? 0) < (current.progress[$1]?.match ?? 0) }
        if let heir { effects.send(heir, .succeed(term: term)) }
        giveUpTenure(now: now)
    }

    /// The leader made way for this node.
    mutating func succeed(term: UInt64, now: Instant) {
        guard term == self.term, mayLead, isVoter, !isRemoved, leading == nil else { return }
        guard coordination == nil else {
            electionAt = now
            return
        }
        run(.succession, now: now)
    }
}
