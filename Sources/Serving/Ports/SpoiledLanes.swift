package import Vocabulary

/// Lanes whose rows a stage could not run. A prompt's chunks follow each other down the chain, so chunks behind a
/// failed one may be on their way already: they would leave a gap in their sequence, and are refused until the brain
/// has heard of the failure and freed the lane.
package struct SpoiledLanes: Sendable {
    /// The first position that is missing.
    private var lanes: [Lane: Int32] = [:]

    /// No lane is spoiled.
    package init() {}

    /// A freed lane begins anew, and one that is trimmed to before its gap has none.
    package mutating func follow(_ operation: SequenceOperation) {
        switch operation {
        case .free(let lane):
            lanes[lane] = nil
        case .trim(let lane, let position):
            if let gap = lanes[lane], position <= gap { lanes[lane] = nil }
        case .open, .copy, .archive, .guess:
            break
        }
    }

    /// Passes the rows when none of their lanes is spoiled.
    ///
    /// **Throws:** `EngineError.cancelled`: the other lanes of the microbatch are worth another attempt.
    package func admit(_ rows: [StageRow]) throws(EngineError) {
        guard !lanes.isEmpty, rows.contains(where: { lanes[$0.lane] != nil }) else { return }
        throw .cancelled
    }

    /// These rows were not run.
    package mutating func failed(_ rows: [StageRow]) {
        for row in rows { lanes[row.lane] = min(lanes[row.lane] ?? row.position, row.position) }
    }
}
