package import Vocabulary

/// A piece of work for the whole chain of stages.
///
/// Every stage applies `operations` in order, then runs `rows`, then passes both on; microbatches never overtake each
/// other, but for deferred ones (docs/decisions/0025-deferred-microbatches.md). A stage that cannot run the rows passes
/// the operations on with no rows and reports the failure.
package struct Microbatch: Hashable, Sendable {
    /// Its identity; the answer of the last stage names it.
    package var id: StepID
    /// Changes of sequence state, applied before the rows.
    package var operations: [SequenceOperation]
    /// The rows; empty when there are only operations.
    package var rows: [StageRow]
    /// How long deferred microbatches are run at a time, from now on; nil leaves it as it was.
    package var slice: Duration?
    /// Whether others overtake it between layers: rows of a prompt, all of one lane, without operations.
    package var isDeferred: Bool

    /// Makes a microbatch.
    package init(
        id: StepID, operations: [SequenceOperation], rows: [StageRow], slice: Duration? = nil, isDeferred: Bool = false
    ) {
        self.id = id
        self.operations = operations
        self.rows = rows
        self.slice = slice
        self.isDeferred = isDeferred
    }
}

extension EngineCore {
    /// One thing the shell has to do.
    package enum Effect: Hashable, Sendable {
        /// Send the microbatch down the chain. Per input at most one, and behind it a deferred one.
        case run(Microbatch)
        /// Give the work to the draft model, which answers every one. At most one per input, and none before the answer
        /// to the one before.
        case draft(DraftWork)
        /// Hand the event to the request's client.
        case emit(RequestID, GenerationEvent)
        /// All stages have the sequence on disk: write the record that says so.
        case commit(ArchivedSequence)
        /// The sequence on disk is not to be used any more: delete the record that says it stands there.
        case retract(SequenceKey)
        /// After `archiveAll`: nothing is left to be written.
        case archived
        /// Give `.tick` at this time; replaces an earlier wish. Ticks at other times are harmless.
        case wakeAt(Instant)
    }

    /// Everything that follows from one input, to be done in order.
    package struct Effects: Hashable, Sendable {
        /// The effects, first to last.
        package internal(set) var list: [Effect] = []

        mutating func emit(_ id: RequestID, _ event: GenerationEvent) { list.append(.emit(id, event)) }
    }
}
