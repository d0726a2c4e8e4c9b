import ReferenceEngine
import Serving
import Vocabulary

/// Lets every prompt go through the layers bit by bit where that is possible, beside what another policy lets go.
struct ForcedSlices: BatchPolicy {
    private let base: any BatchPolicy
    private let rows: Int
    private let layers: Int

    /// Chunks of so many rows, so many layers at a time; with 0 layers, one and a turn without.
    init(_ base: any BatchPolicy = EvenBatchPolicy(), rows: Int, layers: Int) {
        self.base = base
        self.rows = rows
        self.layers = layers
    }

    func depth(stageCount: Int) -> Int { base.depth(stageCount: stageCount) }
    func expectedNanoseconds(rows: Int) -> Double? { base.expectedNanoseconds(rows: rows) }
    func draftWidth(for load: DraftLoad) -> Int { base.draftWidth(for: load) }

    func quota(for load: BatchLoad) -> BatchQuota {
        var quota = base.quota(for: load)
        guard load.isSlicing ? !load.overtakes : load.pausableLayers > 0 else { return quota }
        let waits = layers == 0 && load.readyDecodes > 0 && load.decodedSincePrefill < load.decodingLanes
        quota.slice = waits ? nil : ReferenceStage.layerDuration * max(1, layers)
        quota.prefillLanes = 1
        quota.prefillRows = waits && !load.isSlicing ? 0 : rows
        return quota
    }
}
