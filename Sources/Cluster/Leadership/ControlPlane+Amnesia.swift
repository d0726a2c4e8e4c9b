import Vocabulary

/// The question to be taken off the voters, repeated until the log answers it.
struct Retirement: Sendable {
    var command: CommandID
    var nextTry: Instant
}

/// A node whose disk lost what it had decided.
///
/// It may have voted in the present term, and said that it has entries which are gone. So until the log has taken it
/// off the voters it helps nobody to lead, its word commits nothing, and it begins nothing on its stages: epochs it
/// had accepted are higher than it knows. It learns the log as any member does. What the leader has committed in
/// answer to its question lies behind everything it ever acknowledged, so from there on it is a member like others.
extension ControlPlane {
    /// Begins a life without the memory of the earlier ones; that lasts before anything else happens.
    mutating func forget() {
        hasForgotten = true
        persist(.forgotten(true))
    }

    /// Asks the leader to take this node off the voters, until the log has done so.
    mutating func retire(now: Instant) {
        guard hasForgotten else { return }
        if let retirement, state.results.index(of: retirement.command) != nil {
            hasForgotten = false
            self.retirement = nil
            // What the log said meanwhile was not followed.
            agent.seen = nil
            persist(.forgotten(false))
            // A member that has everything is sent nothing it could answer, so the leader would not hear of it.
            if let leader { effects.send(leader, appendReply(storage == nil, commit, sentAt: 0)) }
            return
        }
        guard state.cluster != 0, let leader, leader != node, !isRemoved,
            retirement.map({ $0.nextTry <= now }) ?? true
        else { return }
        if retirement == nil { ownCommands += 1 }
        let id = retirement?.command ?? CommandID(origin: node, number: ownCommands)
        retirement = Retirement(command: id, nextTry: now.advanced(by: timings.commandRetry))
        effects.send(leader, .propose(Command(id: id, issued: clock.next(now: now), action: .retire(node))))
    }

    /// Whether this leader may carry the retirement out now; who asked will ask again.
    func mayRetire(_ parting: NodeID) -> Bool {
        !voters.contains(parting) || (mayChangeVoters && voters.count > 1)
    }

    /// Whether a member is known to have lost its memory and not to be retired yet.
    func isForgetful(_ other: NodeID) -> Bool { membership.peers[other]?.hint.hasForgotten ?? false }
}
