import Vocabulary

extension Planner {
    /// Works out a placement in all its numbers.
    func describe(
        _ choice: Choice, _ request: PlacementRequest, _ entrants: Entrants, _ space: SearchSpace
    ) -> PlacementPlan {
        let stages = stagePlans(choice, request, space)
        let links = LinkTable(inventory)
        let speed = SpeedModel(model: model, request: request, policy: policy)
        var back = PredictedTime.zero
        if let last = choice.found.stages.last, let first = choice.found.stages.first, stages.count > 1 {
            let from = space.seats[last.seat].node
            let to = space.seats[first.seat].node
            back = speed.returnHop(links.link(from, to), isLocal: from == to)
        }
        var token = back
        var bottleneck = back
        var prompt = back
        for stage in stages {
            token += stage.tokenTime
            prompt += stage.promptTime
            if stage.tokenTime.milliseconds > bottleneck.milliseconds { bottleneck = stage.tokenTime }
            guard let hop = stage.hopTime else { continue }
            token += hop
            if hop.milliseconds > bottleneck.milliseconds { bottleneck = hop }
        }
        for (one, next) in zip(choice.found.stages, choice.found.stages.dropFirst()) {
            let from = space.seats[one.seat].node
            let to = space.seats[next.seat].node
            prompt +=
                speed.hop(links.link(from, to), isLocal: from == to, rows: speed.prefillRows)
                * Double(speed.prefillSteps)
        }
        let bounding = choice.reason == .memory ? choice.boundingSeat : nil
        let boundaries = choice.found.stages.dropFirst().map(\.layers.first)
        return PlacementPlan(
            architecture: model.architecture,
            cut: Cut(layerCount: model.layerCount, boundaries: Array(boundaries))
                ?? .whole(layerCount: model.layerCount),
            context: choice.context, contextReason: choice.reason,
            contextNode: bounding.map { inventory.nodes[space.seats[$0].node].name }, stages: stages, returnHop: back,
            tokenTime: token, firstTokenTime: prompt, bottleneckTime: bottleneck,
            soloTime: soloTime(choice, request, space), cost: choice.found.cost, excluded: entrants.excluded)
    }

    private func stagePlans(
        _ choice: Choice, _ request: PlacementRequest, _ space: SearchSpace
    ) -> [StagePlan] {
        let links = LinkTable(inventory)
        let speed = SpeedModel(model: model, request: request, policy: policy)
        var free = space.seats.map { UInt64($0.memory) }
        return choice.found.stages.enumerated().map { index, stage in
            let seat = space.seats[stage.seat]
            let node = inventory.nodes[seat.node]
            let device = node.devices[seat.device]
            let settings = request.settings(cells: choice.context, seat.layout)
            let footprint = model.stage(stage.layers, settings)
            let reserve = UInt64(footprint.needed(share: choice.share)) - footprint.total.bytes
            let before = free[stage.seat]
            free[stage.seat] = before - min(before, footprint.total.bytes + reserve)
            let basis = speed.basis(stage.layers, on: device.speed)
            let missing = UInt64(space.fetched(stage.seat, stage.layers.first, stage.layers.end))
            var plan = StagePlan(
                index: index, layers: stage.layers, node: node.name, device: device.name, footprint: footprint,
                reserve: ByteCount(reserve), freeBefore: ByteCount(before),
                freeAfter: ByteCount(before - min(before, footprint.total.bytes)),
                cached: ByteCount(footprint.fetched.bytes - min(footprint.fetched.bytes, missing)),
                missing: ByteCount(missing),
                tokenTime: basis.tokenTime, basis: basis,
                promptTime: promptTime(stage.layers, on: device.speed, speed))
            if index + 1 < choice.found.stages.count {
                let next = space.seats[choice.found.stages[index + 1].seat].node
                let link = links.link(seat.node, next)
                plan.hopTime = speed.hop(link, isLocal: seat.node == next, rows: 1)
                plan.hopLink = seat.node == next ? nil : link
            }
            return plan
        }
    }

    private func promptTime(_ layers: LayerRange, on device: DeviceSpeed, _ speed: SpeedModel) -> PredictedTime {
        var time = PredictedTime.zero
        for layer in layers.indices { time += speed.time(model.streams[layer], rows: speed.prefillRows, on: device) }
        time = time * Double(speed.prefillSteps)
        if layers.end == model.layerCount { time += speed.time(model.headStream, rows: 1, on: device) }
        return time
    }

    /// Time per token of the fastest machine that holds the whole model with the placement's context.
    private func soloTime(_ choice: Choice, _ request: PlacementRequest, _ space: SearchSpace) -> PredictedTime? {
        let speed = SpeedModel(model: model, request: request, policy: policy)
        var fastest: PredictedTime?
        for seat in space.seats {
            let settings = request.settings(cells: choice.context, seat.layout)
            guard model.stage(model.whole, settings).needed(share: choice.share) <= seat.memory else { continue }
            let device = inventory.nodes[seat.node].devices[seat.device]
            let time = speed.basis(model.whole, on: device.speed).tokenTime
            if time.milliseconds < fastest?.milliseconds ?? .infinity { fastest = time }
        }
        return fastest
    }
}
