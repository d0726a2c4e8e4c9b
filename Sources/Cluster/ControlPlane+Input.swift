import Vocabulary

extension ControlPlane {
    /// What can happen to the brain. What is large has a box of its own, so that a tick is not moved as if it were.
    package enum Input: Sendable {
        /// The shell read the wall clock: at the start, and when it jumped. **Units:** milliseconds since 1970.
        case wallClock(Int64)
        /// A message came; the transport has proven who sent it.
        case received(ClusterMessage, from: NodeID)
        /// A caller wants something. The same number means the same command.
        indirect case command(number: UInt64, Command.Action)
        /// The shell measured this node; its stages are filled in here.
        indirect case reading(NodeReading)
        /// A stage of this node changed.
        indirect case stage(StageReport)
        /// The planner answered.
        indirect case planned(question: UInt64, PlanAnswer)
        /// The entries of a write last, up to this one: only now they count as this node's own.
        case stored(index: UInt64, term: UInt64)
        /// The writes of these effects failed, and nothing else of them happened. What does not depend on them comes
        /// back as new effects.
        indirect case storeFailed(StoreFailure, of: Effects)
        /// A `rebase` was written: the disk takes writes again.
        case storeRecovered
        /// The process of a member ended: its host is there and refuses connections.
        case peerDied(NodeID)
        /// The coordinator answered, or did not.
        indirect case coordinator(number: UInt64, CoordinatorAnswer)
        /// Become a member through a node that answers.
        case join(seed: NodeID)
        /// This node is about to stop: hand over, and say good-bye.
        case leave
        /// The time asked for by `wakeAt` came.
        case tick
    }
}
