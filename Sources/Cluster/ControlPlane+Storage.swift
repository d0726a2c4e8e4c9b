import Vocabulary

extension ControlPlane {
    /// Writes before anything else of these effects happens; nothing while the disk takes nothing.
    mutating func persist(_ record: StoredRecord) {
        guard storage == nil else { return }
        effects.persist.append(record)
    }

    /// Takes part in a term, with a vote in it; both last before they are used.
    mutating func setTerm(_ term: UInt64, vote: NodeID?) {
        guard term != self.term || vote != self.vote else { return }
        precondition(term >= self.term, "term \(term) is below \(self.term)")
        self.term = term
        self.vote = vote
        highestTerm = max(highestTerm, term)
        persist(.election(term: term, vote: vote))
    }

    /// Nothing lasts any more: this node goes on counting and applying what others decide, but its word counts for
    /// nothing, because it may not survive. It neither votes, leads nor acknowledges until the disk is back.
    mutating func storeFailed(_ failure: StoreFailure, _ lost: Effects, now: Instant) {
        storage = failure
        regain(lost)
        storeRetryAt = now.advanced(by: timings.storeRetry)
        if leading != nil { resign(now: now) }
        campaign = nil
        ruling = nil
    }

    /// Of effects that could not be carried out, does again what stands without the write. Messages are lost, as any
    /// message may be.
    private mutating func regain(_ lost: Effects) {
        for task in lost.tasks {
            // To serve needs a fence that lasts; it is asked for again when the disk is back.
            if case .serve(let epoch) = task { agent.forgetTask(of: epoch) } else { effects.tasks.append(task) }
        }
        effects.plans += lost.plans
        regainCoordinator(lost.coordinator)
        for reply in lost.replies {
            guard reply.outcome == .doneDegraded else {
                // Done means committed, which a failed write of this node does not undo.
                effects.replies.append(reply)
                continue
            }
            let refusal = CommandRefusal(.storage, "The disk of the only node that could keep this failed.")
            effects.replies.append(.init(command: reply.command, outcome: .refused(refusal)))
        }
    }

    mutating func retryStore(now: Instant) {
        guard storage != nil, let due = storeRetryAt, due <= now else { return }
        storeRetryAt = now.advanced(by: timings.storeRetry)
        var stored = StoredCluster()
        stored.term = term
        stored.vote = vote
        stored.snapshot = state
        stored.snapshotTerm = stateTerm
        stored.baseIndex = log.base.index
        stored.baseTerm = log.base.term
        stored.entries = log.entries
        stored.fences = agent.fences
        stored.branch = branch
        stored.hasForgotten = hasForgotten
        effects.persist = [.rebase(stored)]
    }

    /// A voter that lost its memory and that no majority can do without.
    private var unsparedVoter: NodeID? {
        let forgetful = voters.filter(isForgetful)
        return voters.count - forgetful.count < Self.majority(of: voters.count) ? forgetful.first : nil
    }

    /// What an operator should know and cannot see otherwise, one sentence each.
    package var warnings: [String] {
        var warnings: [String] = []
        if let storage {
            warnings.append("Nothing is kept on this node: \(storage) It takes no part in decisions meanwhile.")
        }
        if hasForgotten {
            warnings.append(
                "This node's memory of the cluster was lost; it takes no part in decisions until a leader has taken "
                    + "it off the voters. Where nobody can lead without it, run 'skein leave --force' and begin anew.")
        }
        if let trouble = coordinatorTrouble { warnings.append(trouble) }
        if isCoordinatedElsewhere {
            warnings.append(
                "This cluster is led by its coordinator, and this node was told of none: it follows and never leads; "
                    + "start it with --coordinator like the others.")
        }
        if ruling != nil {
            warnings.append("No majority of the voters answers; this node leads those it reaches (degraded).")
        } else if branch?.state != nil {
            warnings.append("No majority of the voters answers; this node follows a degraded leader.")
        }
        if branch?.state != nil, let lost = unsparedVoter {
            warnings.append(
                "Node \(lost) lost its memory of the cluster, and without it no majority of the \(voters.count) voters "
                    + "is left: this does not end by itself. Bring its data directory back, or found a new cluster "
                    + "('skein leave --force' on each machine).")
        }
        if let unmerged = branch?.unmerged, !unmerged.isEmpty {
            warnings.append("What was decided without a majority is still being merged.")
        }
        return warnings
    }
}
