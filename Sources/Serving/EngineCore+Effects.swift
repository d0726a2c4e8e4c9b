package import Vocabulary

/// A piece of work for the whole chain of stages.
///
/// Every stage applies `operations` in order, then runs `rows`, then passes both on; microbatches never overtake each
/// other. A stage that cannot run the rows passes the operations on with no rows and reports the failure.
package struct Microbatch: Hashable, Sendable {
    /// Its identity; the answer of the last stage names it.
    package var id: StepID
    /// Changes of sequence state, applied before the rows.
    package var operations: [SequenceOperation]
    /// The rows; empty when there are only operations.
    package var rows: [StageRow]
    /// Run behind the rows, by a stage that is alone.
    package var slice: PrefillSlice?

    /// Makes a microbatch.
    package init(id: StepID, operations: [SequenceOperation], rows: [StageRow], slice: PrefillSlice? = nil) {
        self.id = id
        self.operations = operations
        self.rows = rows
        self.slice = slice
    }
}

/// Rows of a prompt that go through the layers a few at a time, in one microbatch after the other, so that the rows of
/// decoding lanes have their turn in between.
///
/// **Source:** docs/decisions/0022-layered-prefill.md.
package struct PrefillSlice: Hashable, Sendable {
    /// The rows, all of one lane; the same in each microbatch until they are through.
    package var rows: [StageRow]
    /// About how long they are run in this one; a layer at least.
    package var duration: Duration

    /// Makes a slice.
    package init(rows: [StageRow], duration: Duration) {
        self.rows = rows
        self.duration = duration
    }
}

extension EngineCore {
    /// One thing the shell has to do.
    package enum Effect: Hashable, Sendable {
        /// Send the microbatch down the chain. At most one per input.
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
