import Vocabulary

/// Room in the cache for the rows of requests, and who gives way when there is too little.
extension EngineCore {
    /// Cells a request may fill beyond those it has without another one giving way.
    func freeCells(for request: Int) -> Int {
        ownCells(of: request) + max(0, cellLimit - promisedCells)
    }

    /// ... those of its promise.
    func ownCells(of request: Int) -> Int { active[request].promisedCells - active[request].heldCells }

    /// What a request has to be promised to fill so many cells more.
    func promise(to request: Int, for rows: Int) -> Int {
        let (needed, promised) = (active[request].heldCells + rows, active[request].promisedCells)
        guard needed > promised else { return promised }
        return min(max(needed, promised + Limits.cellGrant), promised + cellLimit - promisedCells)
    }

    /// Makes sure the lane's request may fill `rows` more cells beside those planned for this microbatch, preempting
    /// the youngest requests when there are too few. False when the lane's own request had to give way.
    mutating func assureCells(_ lane: Lane, rows: Int, planned: inout [Int]) -> Bool {
        while let owner = lanes[lane].owner {
            if planned[owner.request] + rows <= freeCells(for: owner.request) {
                let promise = promise(to: owner.request, for: planned[owner.request] + rows)
                if promise > active[owner.request].promisedCells {
                    active[owner.request].promisedCells = promise
                    makeRoom()
                }
                planned[owner.request] += rows
                return true
            }
            guard let youngest = active.lastIndex(where: \.isSeated) else { return false }
            preempt(youngest)
        }
        return false
    }

    /// Takes a request's lanes and cells away; it is computed again from its journal when there is room.
    ///
    /// Answers of its microbatches in flight find lanes without an owner and are dropped: the same tokens are
    /// sampled again, because a token's randomness depends on seed and position only.
    mutating func preempt(_ index: Int) {
        releaseLanes(index)
        active[index].isSeated = false
        active[index].promisedCells = 0
    }

    /// Frees all lanes of a request.
    mutating func releaseLanes(_ index: Int) {
        for choice in active[index].choices.indices { releaseLane(index, choice: choice) }
    }

    /// Frees a choice's lane. The operation goes with the next microbatch: the chain keeps the order, so every stage
    /// has run what is in flight by then.
    mutating func releaseLane(_ index: Int, choice: Int) {
        guard let lane = active[index].choices[choice].lane else { return }
        change(.free(lane: lane))
        cells.clear(lane)
        leaveLane(lane, index, choice: choice)
    }

    /// Ends a choice's hold on a lane; what becomes of the sequence there is the caller's.
    mutating func leaveLane(_ lane: Lane, _ index: Int, choice: Int) {
        lanes.release(lane)
        active[index].choices[choice].lane = nil
        active[index].choices[choice].deferred = DeferredRows()
        active[index].choices[choice].drafts = []
        active[index].choices[choice].awaitedDraft = nil
        active[index].choices[choice].guesses = Guesses()
        active[index].choices[choice].headWish = nil
        active[index].choices[choice].draftTime = 0
        active[index].choices[choice].draftedFor = 0
        active[index].choices[choice].sent = 0
        active[index].choices[choice].landed = 0
        active[index].choices[choice].awaitsCopy = false
    }
}
