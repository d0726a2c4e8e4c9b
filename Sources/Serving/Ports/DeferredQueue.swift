package import Vocabulary

/// A stage's deferred steps, in the order they came: it computes the first one when nothing else is to be done, and
/// between other steps.
package struct DeferredQueue<Step> {
    private var steps: [(step: Step, lane: Lane, isDropped: Bool)] = []

    /// None.
    package init() {}

    /// Whether there is none.
    package var isEmpty: Bool { steps.isEmpty }

    /// The step whose turn it is. Of one that is dropped nobody wants the rows any more: it is answered as cancelled,
    /// and before all others, as its lane is of use to nobody until then.
    package var next: (step: Step, isDropped: Bool)? {
        nextIndex.map { (steps[$0].step, steps[$0].isDropped) }
    }

    private var nextIndex: Int? {
        steps.firstIndex { $0.isDropped } ?? (steps.isEmpty ? nil : 0)
    }

    /// Takes a step, whose rows are all of `lane`.
    package mutating func append(_ step: Step, lane: Lane) { steps.append((step, lane, false)) }

    /// That one is done.
    package mutating func removeNext() {
        if let nextIndex { steps.remove(at: nextIndex) }
    }

    /// A lane that is freed has no place for the rows.
    package mutating func follow(_ operation: SequenceOperation) {
        guard case .free(let lane) = operation else { return }
        for index in steps.indices where steps[index].lane == lane { steps[index].isDropped = true }
    }
}
