package import Vocabulary

/// Lanes whose rows a stage could not run. A prompt's chunks follow each other down the chain, so chunks behind a
/// failed one may be on their way already: they would leave a gap in their sequence, and are refused until the brain
/// has heard of the failure and freed the lane.
package struct SpoiledLanes: Sendable {
    private var lanes: Set<Lane> = []

    /// No lane is spoiled.
    package init() {}

    /// A freed lane begins anew.
    package mutating func follow(_ operation: SequenceOperation) {
        if case .free(let lane) = operation { lanes.remove(lane) }
    }

    /// Passes the rows when none of their lanes is spoiled.
    ///
    /// **Throws:** `EngineError.cancelled`: the other lanes of the microbatch are worth another attempt.
    package func admit(_ rows: [StageRow]) throws(EngineError) {
        guard !lanes.isEmpty, rows.contains(where: { lanes.contains($0.lane) }) else { return }
        throw .cancelled
    }

    /// These rows were not run.
    package mutating func failed(_ rows: [StageRow]) { for row in rows { lanes.insert(row.lane) } }
}
