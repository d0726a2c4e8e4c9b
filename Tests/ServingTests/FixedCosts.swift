import Serving

/// Composes by the costs it was told and finds no others: steps of `LocalPipeline` take next to no time.
struct FixedCosts: BatchPolicy {
    private var policy: CostBatchPolicy

    init(_ stages: [StepCosts]) { policy = CostBatchPolicy(stages) }

    func depth(stageCount: Int) -> Int { policy.depth(stageCount: stageCount) }
    func quota(for load: BatchLoad) -> BatchQuota { policy.quota(for: load) }
    func expectedNanoseconds(rows: Int) -> Double? { policy.expectedNanoseconds(rows: rows) }
    func draftWidth(for load: DraftLoad) -> Int { policy.draftWidth(for: load) }
    func draftFloor(for load: DraftLoad, width: Int) -> Double { policy.draftFloor(for: load, width: width) }

    mutating func observe(rows: Int, nanoseconds: Double) {
        policy.observe(rows: rows, nanoseconds: policy.expectedNanoseconds(rows: rows) ?? nanoseconds)
    }
}
