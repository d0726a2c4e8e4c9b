import ReferenceEngine
import Serving
import Vocabulary

/// Defers every prompt where that is possible, and lets go what another policy lets go.
struct ForcedDeferral: BatchPolicy {
    private let base: any BatchPolicy
    private let rows: Int
    private let layers: Int

    /// Chunks of so many rows, so many layers at a time.
    init(_ base: any BatchPolicy = EvenBatchPolicy(), rows: Int, layers: Int) {
        self.base = base
        self.rows = rows
        self.layers = layers
    }

    func depth(stageCount: Int) -> Int { base.depth(stageCount: stageCount) }
    func expectedNanoseconds(rows: Int) -> Double? { base.expectedNanoseconds(rows: rows) }
    func draftWidth(for load: DraftLoad) -> Int { base.draftWidth(for: load) }
    func quota(for load: BatchLoad) -> BatchQuota { base.quota(for: load) }
    func deferredRows(for load: BatchLoad) -> Int { rows }
    func slice(for load: BatchLoad) -> Duration { ReferenceStage.layerDuration * layers }
}
