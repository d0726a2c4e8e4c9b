import Vocabulary

extension EngineCore {
    /// A stage could not run a microbatch: its requests are computed again when that can help, else they end.
    mutating func stepFailed(_ id: StepID, stage: Int, _ error: EngineError) {
        guard let index = steps.firstIndex(where: { $0.id == id }) else { return }
        let step = steps.remove(at: index)
        leaveStageZero(id)
        rounds = RoundWatch()
        for passenger in step.passengers {
            lanes.land(passenger.lane)
            if step.isDeferred { landDeferred(passenger.lane) }
        }
        if archive.fetch?.step == id { return restoreFailed() }

        var isWorthRepeating = false
        switch error {
        case .failed where step.isDeferred, .outOfCells where step.isDeferred:
            // Prompts go as rows of others' steps then, and nobody suffers for it twice.
            settings.pausableLayers = 0
            isWorthRepeating = true
        case .outOfCells:
            // The engine holds less than its shape said: believe what was seen. Others may have ended since.
            cellLimit = max(1, min(cellLimit, step.usedCells - 1))
            makeRoom()
            isWorthRepeating = true
        case .cancelled:
            // Also what a failed microbatch in front of it has spoiled.
            isWorthRepeating = true
        case .loadFailed, .invalidRow, .failed:
            break
        }
        for passenger in step.passengers {
            // The stages now disagree about this lane, so its sequence starts again from the journal.
            guard let owner = lanes[passenger.lane].owner else { continue }
            active[owner.request].failedSteps += 1
            if isWorthRepeating, active[owner.request].failedSteps <= Limits.stepRetries {
                preempt(owner.request)
            } else {
                fail(owner.request, .engineFailed(reason: "stage \(stage): \(error)"))
            }
        }
    }

    /// Every running request ends, all lanes come back, and nothing runs until `stagesReady`; waiting ones keep their
    /// place within the wait limit.
    mutating func stageLost(_ stage: Int, _ reason: String) {
        if loss == nil { loss = (stage, reason) }
        for state in active { effects.emit(state.id, .failed(.stageLost(stage: stage, reason: reason))) }
        active = []
        steps = []
        (stageZeroStep, stageZeroDeferred) = (nil, nil)
        rounds = RoundWatch()
        operations = []
        lanes.clear()
        shelf = PrefixShelf(laneCount: settings.slotCount)
        archive.stageLost()
        cells = CellLedger(laneCount: settings.slotCount)
        if settings.usesModel { mirror.clear() }
    }

    /// Stages that survived still hold the old sequences, so every lane is freed before it is used again.
    mutating func stagesReady() {
        guard loss != nil else { return }
        loss = nil
        cellLimit = settings.cellCount
        operations = (0..<settings.slotCount).map { .free(lane: Lane(UInt16($0))) }
        queueChanged = true
    }
}
