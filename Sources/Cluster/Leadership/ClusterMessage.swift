import Vocabulary

/// What kind of vote is asked for.
package enum VoteKind: UInt8, Sendable {
    /// Would you vote for me? Changes nothing.
    case probe = 0
    /// Vote for me.
    case vote = 1
    /// Vote for me; the leader itself made way, so no promise to it holds.
    case succession = 2
    /// There is no majority; let me lead those who are here.
    case claim = 3
}

/// A question for a vote.
package struct VoteRequest: Hashable, Sendable {
    /// What is asked.
    package var kind: VoteKind
    /// The term the candidate wants to lead, or would.
    package var term: UInt64
    /// The candidate's last entry.
    package var lastIndex: UInt64
    /// The term of that entry.
    package var lastTerm: UInt64
    /// For a succession: the term whose leader made way. Promises to leaders of later terms hold.
    package var predecessor: UInt64

    /// Makes a question.
    package init(kind: VoteKind, term: UInt64, lastIndex: UInt64, lastTerm: UInt64, predecessor: UInt64) {
        self.kind = kind
        self.term = term
        self.lastIndex = lastIndex
        self.lastTerm = lastTerm
        self.predecessor = predecessor
    }
}

/// The answer to a vote.
package struct VoteReply: Hashable, Sendable {
    /// What was asked.
    package var kind: VoteKind
    /// The term that was asked for.
    package var asked: UInt64
    /// The voter's own term.
    package var term: UInt64
    /// Whether it is given.
    package var isGranted: Bool
}

/// A leader's heartbeat, with entries when there are any.
package struct Append: Hashable, Sendable {
    /// The leader's term.
    package var term: UInt64
    /// Index of the entry before the first one here.
    package var previousIndex: UInt64
    /// Term of that entry.
    package var previousTerm: UInt64
    /// The entries.
    package var entries: [LogEntry]
    /// Index up to which entries are committed.
    package var commit: UInt64
    /// The leader's clock, given back in the answer. **Units:** nanoseconds.
    package var sentAt: Int64
}

/// The answer to a heartbeat, an append or a snapshot.
package struct AppendReply: Hashable, Sendable {
    /// The member's term.
    package var term: UInt64
    /// Whether its log now agrees with the leader's up to `index`, on disk; else `index` is where to try next.
    package var isAccepted: Bool
    /// See `isAccepted`.
    package var index: UInt64
    /// The leader's clock in the message that is answered. **Units:** nanoseconds.
    package var sentAt: Int64
    /// Whether the member's memory was lost: what it has now is told, and counts for nothing.
    package var hasForgotten = false
}

/// A piece of a snapshot, for a member that is too far behind.
package struct SnapshotChunk: Hashable, Sendable {
    /// The leader's term.
    package var term: UInt64
    /// Last entry the snapshot holds.
    package var lastIndex: UInt64
    /// Term of that entry.
    package var lastTerm: UInt64
    /// Where the piece belongs.
    package var offset: Int
    /// Length of the whole.
    package var total: Int
    /// The piece.
    package var bytes: [UInt8]
    /// The leader's clock. **Units:** nanoseconds.
    package var sentAt: Int64
}

/// The heartbeat of a leader without a majority; with the whole state for a member that lacks this version.
package struct BranchBeat: Hashable, Sendable {
    /// The leader's term.
    package var term: UInt64
    /// Counts the changes within the term.
    package var version: UInt64
    /// The state, when the receiver needs it.
    package var state: ClusterState?
}

/// The answer to `BranchBeat`.
package struct BranchReply: Hashable, Sendable {
    /// The member's term.
    package var term: UInt64
    /// The version it has on disk; 0 when it does not follow.
    package var version: UInt64
    /// Whom it follows instead, when it does.
    package var rival: NodeID?
}

/// What control planes say to each other. Messages may be lost, doubled, delayed and reordered at will.
///
/// Each is a box of its own: queues move them about, and the largest would make all of them several hundred bytes.
package indirect enum ClusterMessage: Hashable, Sendable {
    /// Are you there?
    case ping(sequence: UInt64, Gossip)
    /// Is the target there? Ask it for me.
    case pingRequest(target: NodeID, sequence: UInt64, Gossip)
    /// Somebody is there.
    case ack(sequence: UInt64, about: NodeID, Gossip)
    /// I am here, and asking.
    case nack(sequence: UInt64)
    /// What is known about members, or digests of it.
    case sync(Exchange)
    /// A question for a vote.
    case vote(VoteRequest)
    /// Its answer.
    case voteReply(VoteReply)
    /// Heartbeat and entries.
    case append(Append)
    /// Its answer.
    case appendReply(AppendReply)
    /// A piece of a snapshot; answered by `snapshotReply`, or by `appendReply` when it is complete.
    case snapshot(SnapshotChunk)
    /// The next piece wanted, of the snapshot up to this index.
    case snapshotReply(term: UInt64, lastIndex: UInt64, offset: Int, sentAt: Int64)
    /// Lead instead of me, at once.
    case succeed(term: UInt64)
    /// Heartbeat without a majority.
    case branch(BranchBeat)
    /// Its answer.
    case branchReply(BranchReply)
    /// A command for the leader.
    case propose(Command)
    /// The leader refuses a command.
    case refused(CommandID, CommandRefusal)
    /// A command was carried out without a majority.
    case doneDegraded(CommandID)
    /// A reading, for the leader.
    case report(NodeReading)
}
