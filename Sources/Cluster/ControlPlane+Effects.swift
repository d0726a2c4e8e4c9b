package import Vocabulary

/// Something a node does for a stage. Long work comes back as `StageReport`s.
package enum StageTask: Hashable, Sendable {
    /// Fetch, cut and load a stage, in the shadow of what serves.
    case load(PlacedReplica, stage: Int)
    /// Send a canary token through the chain; given to the entry stage.
    case prove(Epoch)
    /// Take requests.
    case serve(Epoch)
    /// Take no more requests, and say when the last one has ended.
    case drain(Epoch)
    /// End the runner and free what it holds.
    case stop(Epoch)
}

/// A plan that is asked for; the answer comes back as an input.
package struct PlanQuestion: Hashable, Sendable {
    /// Distinguishes questions.
    package var id: UInt64
    /// What is wanted.
    package var deployment: Deployment
    /// Which copy of it.
    package var replica: ReplicaKey
    /// Fewest stages the plan may use: more than before when a node refused for memory.
    package var width: Int
    /// The nodes that may take part, ascending.
    package var candidates: [PlanCandidate]
    /// The nodes that may not, each with its reason.
    package var excluded: [PlanExclusion]
    /// What serves well enough: only a placement that is worth the move is an answer. Nil when one is needed.
    package var serving: PlacedReplica?

    /// A node that may run stages.
    package struct PlanCandidate: Hashable, Sendable {
        /// Its record.
        package var member: Member
        /// Its latest telemetry; nil while unknown.
        package var reading: NodeReading?
        /// Memory that is promised to stages its readings do not show yet. **Units:** bytes.
        package var promisedBytes: UInt64
        /// Memory that was just freed and is not in the readings yet. **Units:** bytes.
        package var creditedBytes: UInt64
    }

    /// A node that may not run stages.
    package struct PlanExclusion: Hashable, Sendable {
        /// Which one.
        package var node: NodeID
        /// For programs: `management`, `draining`, `dead`, `excluded`, `pinned`, `tags`, `full`, `failed`.
        package var code: String
        /// For people.
        package var reason: String

        /// Leaves a node out.
        package init(node: NodeID, code: String, reason: String) {
            self.node = node
            self.code = code
            self.reason = reason
        }
    }
}

/// What the planner answers.
package enum PlanAnswer: Hashable, Sendable {
    /// Stages on nodes, and how fast they are predicted to be; nothing is decided by the forecast.
    case placed([StageAssignment], contextTokens: UInt64, lanes: UInt64, forecast: PlanForecast? = nil)
    /// It does not fit, with the sentence that says why and what would help.
    case refused(reason: String)
    /// What serves stays: nothing is worth the move.
    case kept
}

/// How fast a placement is predicted to be, and from what.
package struct PlanForecast: Hashable, Sendable {
    /// What is predicted of one stage.
    package struct Stage: Hashable, Sendable {
        /// Time per token. **Units:** microseconds.
        package var tokenMicroseconds: UInt64
        /// What of it rests on figures that nobody measured. **Units:** microseconds.
        package var assumedMicroseconds: UInt64
        /// Bytes of weights that a token reads.
        package var readBytes: UInt64
        /// The rate at which it reads them. **Units:** bytes per second.
        package var bytesPerSecond: UInt64
        /// What attention over the cache takes of the time. **Units:** microseconds.
        package var cacheMicroseconds: UInt64
        /// Time of a typical prompt. **Units:** microseconds.
        package var promptMicroseconds: UInt64
        /// Time per token of the hop to the next stage; nil behind the last one. **Units:** microseconds.
        package var hopMicroseconds: UInt64?

        /// Makes a stage of which nothing is predicted yet.
        package init() {
            (tokenMicroseconds, assumedMicroseconds, readBytes, bytesPerSecond) = (0, 0, 0, 0)
            (cacheMicroseconds, promptMicroseconds) = (0, 0)
        }
    }

    /// In the order of the stages.
    package var stages: [Stage]
    /// Time per token of one request alone. **Units:** microseconds.
    package var tokenMicroseconds: UInt64
    /// What of it rests on figures that nobody measured. **Units:** microseconds.
    package var assumedMicroseconds: UInt64
    /// Time to the first token of a typical prompt. **Units:** microseconds.
    package var firstTokenMicroseconds: UInt64
    /// Tokens of that prompt.
    package var promptTokens: UInt64
    /// Whether so much of it was measured that the times are more than an order of placements.
    package var isMeasured: Bool

    /// Puts a forecast together.
    package init(
        stages: [Stage], tokenMicroseconds: UInt64, assumedMicroseconds: UInt64, firstTokenMicroseconds: UInt64,
        promptTokens: UInt64, isMeasured: Bool
    ) {
        self.stages = stages
        self.tokenMicroseconds = tokenMicroseconds
        self.assumedMicroseconds = assumedMicroseconds
        self.firstTokenMicroseconds = firstTokenMicroseconds
        self.promptTokens = promptTokens
        self.isMeasured = isMeasured
    }
}

/// Decides which layers run where. A pure function; the shell calls it beside the control plane, because it may take
/// a while.
package protocol PlacementPlanning: Sendable {
    /// Answers a question.
    func plan(_ question: PlanQuestion) -> PlanAnswer
}

/// Everything that follows from one input.
///
/// The shell carries it out in this order: `persist` as one write that lasts; then `send`; then `replies` and
/// `tasks`; then it sets its timer to `wakeAt`. When `persist` fails, NOTHING of the rest may happen, and the shell
/// gives `Input.storeFailed` with these effects. After a write with entries it gives `Input.stored` with
/// `storedPosition`, after one with a `rebase` `Input.storeRecovered`. Effects of several inputs may be carried out
/// together with `merge`, so that one write serves all.
package struct Effects: Sendable {
    /// Goes to disk first.
    package internal(set) var persist: [StoredRecord] = []
    /// Messages, in order.
    package internal(set) var send: [Envelope] = []
    /// Ends of commands this node's callers wait for.
    package internal(set) var replies: [Reply] = []
    /// Work on this node's stages, in order.
    package internal(set) var tasks: [StageTask] = []
    /// Plans to compute.
    package internal(set) var plans: [PlanQuestion] = []
    /// What is asked of the coordinator; each is answered by an input.
    package internal(set) var coordinator: [CoordinatorQuestion] = []
    /// Give `.tick` at this time; replaces an earlier wish.
    package internal(set) var wakeAt: Instant?

    /// A message and whom it is for.
    package struct Envelope: Sendable {
        /// Whom it is for.
        package let to: NodeID
        /// The message.
        package let message: ClusterMessage
    }

    /// The end of a command.
    package struct Reply: Hashable, Sendable {
        /// Which command.
        package let command: CommandID
        /// How it ended.
        package let outcome: CommandOutcome
    }

    /// The last entry that `persist` writes; given back when it lasts.
    package var storedPosition: (index: UInt64, term: UInt64)? {
        for case .append(let entries) in persist.reversed() {
            if let last = entries.last { return (last.index, last.term) }
        }
        return nil
    }

    /// Nothing to do.
    package init() {}

    mutating func send(_ to: NodeID, _ message: ClusterMessage) { send.append(Envelope(to: to, message: message)) }

    /// Adds the effects of a later input, so that one write serves both.
    package mutating func merge(_ later: Effects) {
        persist += later.persist
        send += later.send
        replies += later.replies
        tasks += later.tasks
        plans += later.plans
        coordinator += later.coordinator
        wakeAt = later.wakeAt
    }
}
