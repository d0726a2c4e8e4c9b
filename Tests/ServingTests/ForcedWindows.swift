import Serving

/// Sends as many guesses as there are, up to a width, whether they pay or not.
struct ForcedWindows: BatchPolicy {
    private let base: any BatchPolicy
    private let width: Int

    init(_ base: any BatchPolicy = EvenBatchPolicy(), width: Int) {
        self.base = base
        self.width = width
    }

    func depth(stageCount: Int) -> Int { base.depth(stageCount: stageCount) }
    func quota(for load: BatchLoad) -> BatchQuota { base.quota(for: load) }
    func expectedNanoseconds(rows: Int) -> Double? { base.expectedNanoseconds(rows: rows) }
    func draftWidth(for load: DraftLoad) -> Int { width }
}
