package import Vocabulary

/// Where a draft model goes.
package enum DraftAnswer: Sendable, Hashable, Codable {
    /// Beside the entry stage, whose scheduler asks it: no hop.
    case besideEntry(DraftPlan)
    /// On another machine, because the entry's has no room.
    case remote(DraftPlan)
    /// Nowhere, with what it needs and the most any device has left; the placement serves without it.
    case none(required: ByteCount, mostFree: ByteCount)
    /// Nowhere: its vocabulary differs from the model's.
    case vocabularyDiffers(draft: Int, model: Int)
}

/// A draft model on a device.
package struct DraftPlan: Sendable, Hashable, Codable {
    /// The machine.
    package var node: String
    /// The device.
    package var device: String
    /// What it needs.
    package var footprint: StageFootprint
    /// What the device has left for it.
    package var freeBefore: ByteCount
    /// Time per drafted token, the hop to the machine and back included.
    package var tokenTime: PredictedTime
}

extension Planner {
    /// Finds room for a draft model of the same vocabulary, whole on one device, behind a placement's own stages.
    ///
    /// The entry's devices come first whatever their speed, for a draft asked over a link pays a round trip per window;
    /// of the others the one with the least time per token wins. The draft gets the placement's lanes and context.
    package func placeDraft(
        _ draft: ModelFootprint, beside plan: PlacementPlan, _ request: PlacementRequest
    ) -> DraftAnswer {
        placeDraft(draft, beside: plan, occupied: Self.taken(plan), request)
    }

    /// As `placeDraft`, for all replicas: none gets what another one or its draft model takes.
    package func placeDrafts(
        _ draft: ModelFootprint, beside plans: [PlacementPlan], _ request: PlacementRequest
    ) -> [DraftAnswer] {
        var occupied = plans.flatMap(Self.taken)
        return plans.map { plan in
            let answer = placeDraft(draft, beside: plan, occupied: occupied, request)
            if case .besideEntry(let place) = answer {
                occupied.append(
                    TakenMemory(node: place.node, device: place.device, bytes: place.footprint.total.bytes))
            }
            return answer
        }
    }

    private func placeDraft(
        _ draft: ModelFootprint, beside plan: PlacementPlan, occupied: [TakenMemory], _ request: PlacementRequest
    ) -> DraftAnswer {
        guard draft.vocabularySize == model.vocabularySize else {
            return .vocabularyDiffers(draft: draft.vocabularySize, model: model.vocabularySize)
        }
        // The projector and the head stand beside the model's own stages, which the plan has counted.
        var request = request
        request.projector = ByteCount(0)
        request.head = nil
        // As runners keep it for draft models, whatever the model's is stored in.
        (request.keys, request.values) = (.f16, .f16)
        let entrants = Entrants(draft, inventory, request, without: [], occupied: occupied)
        let links = LinkTable(inventory)
        let entry = inventory.nodes.firstIndex { $0.name == plan.stages.first?.node }
        let speed = SpeedModel(model: draft, request: request, policy: policy)
        var best: (plan: DraftPlan, isEntry: Bool)?
        var mostFree: UInt64 = 0
        for seat in entrants.seats {
            mostFree = max(mostFree, UInt64(seat.memory))
            let settings = request.settings(cells: plan.context, seat.layout)
            let footprint = draft.stage(draft.whole, settings)
            guard footprint.total.bytes <= UInt64(seat.memory) else { continue }
            let node = inventory.nodes[seat.node]
            let device = node.devices[seat.device]
            var time = PredictedTime.zero
            for layer in 0..<draft.layerCount {
                time += speed.time(draft.streams[layer], rows: 1, on: device.speed)
            }
            time += speed.time(draft.headStream, rows: 1, on: device.speed)
            let isEntry = seat.node == entry
            if let entry, !isEntry {
                time += speed.returnHop(links.link(entry, seat.node), isLocal: false)
                time += speed.returnHop(links.link(seat.node, entry), isLocal: false)
            }
            let candidate = DraftPlan(
                node: node.name, device: device.name, footprint: footprint,
                freeBefore: ByteCount(UInt64(seat.memory)), tokenTime: time)
            if let best, best.isEntry != isEntry ? best.isEntry : best.plan.tokenTime.milliseconds <= time.milliseconds
            {
                continue
            }
            best = (candidate, isEntry)
        }
        guard let best else {
            let settings = request.settings(cells: plan.context)
            return .none(required: draft.stage(draft.whole, settings).total, mostFree: ByteCount(mostFree))
        }
        return best.isEntry ? .besideEntry(best.plan) : .remote(best.plan)
    }

    private static func taken(_ plan: PlacementPlan) -> [TakenMemory] {
        plan.stages.map {
            TakenMemory(node: $0.node, device: $0.device, bytes: $0.footprint.total.bytes + $0.reserve.bytes)
        }
    }
}
