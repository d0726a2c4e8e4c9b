package import Vocabulary

extension ControlPlane {
    /// Whoever leads looks at what is wanted and what is, and decides on the next steps.
    mutating func reconcile(now: Instant) {
        guard storage == nil, isReconciling(now: now) else { return }
        if let next = reconciler.nextPass, next > now, !readingChanged { return }
        reconciler.see(view(now: now), stamp: clock.latest)
        let usual = now.advanced(by: timings.branchHeartbeat)
        reconciler.nextPass = reconciler.settles(after: timings.settling, now: now).map { min($0, usual) } ?? usual
        reconciler.credits.removeAll { $0.endsAt <= now }
        reconciler.questions.removeAll { $0.askedAt.advanced(by: timings.canaryDeadline) <= now }
        var budget = Limits.commandsPerPass
        func spend(_ actions: [Command.Action]) -> [Command.Action] {
            let taken = Array(actions.prefix(budget))
            budget -= taken.count
            return taken
        }
        let seen = view(now: now)
        for action in spend(EpochReconciler.actions(seen)) {
            if case .end(let epoch, _) = action, let ended = headState.placements[epoch] {
                reconciler.credit(ended, readings, until: now.advanced(by: timings.readingPeriod.times(2)))
                if ended.phase < .active { reconciler.failed(ended, seen) }
            }
            perform(action, now: now)
        }
        for action in spend(ReplicaReconciler.idle(view(now: now))) { perform(action, now: now) }
        takeAnswers(now: now)
        askPlanner(now: now)
        changeVoters(now: now)
    }

    /// A new leader first commits an entry of its term, and gives the nodes a moment to speak up.
    private func isReconciling(now: Instant) -> Bool {
        if let leading {
            return now < leading.leaseUntil && commit >= leading.firstIndex
                && (leading.began.advanced(by: timings.leaderGrace) <= now || knowsAll(leading, now: now))
        }
        return ruling.map { $0.began.advanced(by: timings.leaderGrace) <= now } ?? false
    }

    /// Whether every member has spoken or is known to be dead. Soon after its own start a node knows too little for
    /// that: all may have started at once, and whoever does not answer yet is no more dead than this node was.
    private func knowsAll(_ leading: Leading, now: Instant) -> Bool {
        state.members.keys.allSatisfy { member in
            if member == node || leading.heard.contains(member) { return true }
            return now >= othersStartUntil && (membership.status(of: member).map { $0 >= .dead } ?? false)
        }
    }

    private var headState: ClusterState { leading?.head ?? effectiveState }

    private func view(now: Instant) -> ReconcilerView {
        let membership = membership
        return ReconcilerView(
            state: headState, readings: readings, liveness: { membership.status(of: $0) }, timings: timings,
            wall: clock.wall(now: now), seen: reconciler.seen, now: now)
    }

    private mutating func takeAnswers(now: Instant) {
        for question in reconciler.questions {
            guard let answer = question.answer else { continue }
            reconciler.questions.removeAll { $0.id == question.id }
            let view = view(now: now)
            guard view.state.deployments[question.replica.deployment]?.wish == question.wish,
                isAsked(question, view),
                let action = ReplicaReconciler.action(question.replica, wish: question.wish, answer, view)
            else { continue }
            if case .refused = answer { reconciler.waits[question.replica] = now.advanced(by: timings.planRetry) }
            perform(action, now: now)
        }
    }

    /// Whether the answer is still wanted: there is nothing, or there is still what it would be better than.
    private func isAsked(_ question: ReconcilerMemory.Question, _ view: ReconcilerView) -> Bool {
        guard let serving = question.serving else { return ReplicaReconciler.wanting(view).contains(question.replica) }
        guard case .placed = question.answer else { return false }
        return ReplicaReconciler.settled(view).contains { $0.epoch == serving }
    }

    private mutating func askPlanner(now: Instant) {
        guard reconciler.questions.count < Limits.plansInFlight, !headState.deployments.isEmpty else { return }
        let view = view(now: now)
        for key in ReconcilerMemory.inTurn(ReplicaReconciler.wanting(view), after: reconciler.lastAsked) {
            guard reconciler.waits[key] == nil, !reconciler.questions.contains(where: { $0.replica == key }) else {
                continue
            }
            guard ask(key, insteadOf: nil, view, now: now) else { continue }
            reconciler.lastAsked = key
            // One in each pass: most plans are answered by the next, which then sees what this one takes.
            return
        }
        if reconciler.questions.isEmpty { askForBetter(view, now: now) }
    }

    /// While nothing is missing, one placement after the other is held against what could be had today. Without a
    /// majority nothing moves that need not.
    private mutating func askForBetter(_ view: ReconcilerView, now: Instant) {
        guard leading != nil, reconciler.nextReplan.map({ $0 <= now }) ?? true else { return }
        reconciler.nextReplan = now.advanced(by: timings.replanPeriod)
        let settled = ReplicaReconciler.settled(view)
        let keys = ReconcilerMemory.inTurn(settled.map(\.replica), after: reconciler.lastReplanned)
        guard let key = keys.first(where: { reconciler.waits[$0] == nil }),
            let serving = settled.first(where: { $0.replica == key })
        else { return }
        if ask(key, insteadOf: serving, view, now: now) { reconciler.lastReplanned = key }
    }

    /// Asks the planner about a replica: for any placement, or only for one that is better than what serves. False when
    /// nobody wants it any more.
    private mutating func ask(
        _ key: ReplicaKey, insteadOf serving: PlacedReplica?, _ view: ReconcilerView, now: Instant
    ) -> Bool {
        reconciler.nextQuestion += 1
        guard
            var question = ReplicaReconciler.question(
                reconciler.nextQuestion, key, view, credits: reconciler.credits)
        else { return false }
        question.serving = serving
        reconciler.questions.append(
            .init(
                id: question.id, replica: key, wish: question.deployment.wish, serving: serving?.epoch, answer: nil,
                askedAt: now))
        effects.plans.append(question)
        return true
    }

    /// What a planner would be asked if this were wished for now; nothing is decided.
    package func planQuestion(for deployment: Deployment, now: Instant) -> PlanQuestion {
        var view = view(now: now)
        // The latest of all, for what is older than the name's last wish or removal would change nothing.
        var wish = deployment
        wish.stamp = Stamp(milliseconds: .max, counter: .max, node: node)
        wish.wish = wish.stamp
        view.state.apply(.deploymentSet(wish))
        let key = ReplicaKey(deployment: deployment.name, index: 0)
        return ReplicaReconciler.question(0, key, view, credits: reconciler.credits)
            ?? PlanQuestion(id: 0, deployment: deployment, replica: key, width: 1, candidates: [], excluded: [])
    }

    private mutating func changeVoters(now: Instant) {
        guard let leading else { return }
        let membership = membership
        let threshold = commit > 64 ? commit - 64 : 1
        let replacement = timings.voterReplacement
        let change = VoterReconciler.change(
            voters: voters, members: leading.head.members, leader: node,
            isReady: { other in
                membership.isAlive(other) && (leading.progress[other]?.counted ?? 0) >= threshold
            },
            isGone: { other in
                guard let peer = membership.peers[other] else { return true }
                return peer.status >= .dead && peer.since.advanced(by: replacement) <= now
            })
        guard let change, mayChangeVoters else {
            self.leading?.succession = nil
            return
        }
        // A coordinator needs no voters to decide.
        let isAble = coordination != nil || self.leading?.canHandOver(to: change, of: node, now: now) == true
        if isAble { perform(.changeVoters(change), now: now) }
    }
}
