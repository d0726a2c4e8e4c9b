package import Vocabulary

extension ModelCutter {
    /// The layers at which a stage starts in at least one legal cut, ascending; empty when the model cannot be cut.
    package var legalBoundaries: [Int] {
        guard obstacle == nil else { return [] }
        var isReached = [Bool](repeating: false, count: layerCount + 1)
        var leadsOn = isReached
        isReached[0] = true
        leadsOn[layerCount] = true
        for end in 1...layerCount { isReached[end] = (0..<end).contains { isReached[$0] && table.isLegal($0, end) } }
        for first in (0..<layerCount).reversed() {
            leadsOn[first] = (first + 1...layerCount).contains { leadsOn[$0] && table.isLegal(first, $0) }
        }
        return (1..<layerCount).filter { isReached[$0] && leadsOn[$0] }
    }

    /// Every cut into `stageCount` stages that is legal, in lexical order, at most `limit` of them.
    package func legalCuts(stageCount: Int, limit: Int) -> [Cut] {
        guard stageCount >= 1, stageCount <= layerCount else { return [] }
        guard stageCount > 1 else { return limit > 0 ? [.whole(layerCount: layerCount)] : [] }
        guard obstacle == nil else { return [] }
        let costs = costs(stageCount: stageCount, Array(0...layerCount))
        var cuts: [Cut] = []
        extend([], stageCount, costs, limit, &cuts)
        return cuts
    }

    /// The legal cut into `stageCount` stages of most even weight, the lexically first of them.
    ///
    /// `weights` has a positive number per layer, in units of which the whole model has at most a million; without
    /// it every layer weighs the same. Takes time proportional to `stageCount` times the square of the layers.
    /// **Throws:** `tooManyStages` with the numbers that work, or the `obstacle`.
    package func evenCut(stageCount: Int, weights: [Int]? = nil) throws(CutError) -> Cut {
        if stageCount == 1 { return .whole(layerCount: layerCount) }
        if let obstacle { throw obstacle }
        if stageCount >= 1, stageCount <= layerCount {
            let weights = weights ?? Array(repeating: 1, count: layerCount)
            precondition(weights.count == layerCount, "\(weights.count) weights for \(layerCount) layers")
            let before = weights.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1) }
            let costs = costs(stageCount: stageCount, before)
            var boundaries: [Int] = []
            var first = 0
            for missing in stride(from: stageCount, to: 1, by: -1) {
                guard
                    let cost = costs[missing][first],
                    let next = (first + 1..<layerCount).first(where: {
                        self.cost(first, $0, before, behind: costs[missing - 1][$0]) == cost
                    })
                else { break }
                boundaries.append(next)
                first = next
            }
            if boundaries.count == stageCount - 1, let cut = Cut(layerCount: layerCount, boundaries: boundaries) {
                return cut
            }
        }
        let possible = possibleStageCounts
        throw .tooManyStages(asked: stageCount, most: possible.last ?? 1, possible: possible)
    }

    /// The numbers of stages into which the model can be cut, ascending; 1 is always among them.
    package var possibleStageCounts: [Int] {
        guard obstacle == nil else { return [1] }
        let costs = costs(stageCount: layerCount, Array(0...layerCount))
        return (1...layerCount).filter { costs[$0][0] != nil }
    }

    /// For `[stages][first]`, the least sum of squared stage weights with which the layers from `first` on can be cut
    /// into so many stages; nil when they cannot. `before` has the weight in front of each layer.
    private func costs(stageCount: Int, _ before: [Int]) -> [[Int?]] {
        let legalEnds = (0..<layerCount).map { first in
            (first + 1...layerCount).filter { table.isLegal(first, $0) }
        }
        var costs = [[Int?](repeating: nil, count: layerCount + 1)]
        costs[0][layerCount] = 0
        for stages in 1...stageCount {
            var row = [Int?](repeating: nil, count: layerCount + 1)
            for first in 0..<layerCount where layerCount - first >= stages {
                for end in legalEnds[first] {
                    guard let cost = cost(first, end, before, behind: costs[stages - 1][end]) else { continue }
                    row[first] = min(row[first] ?? .max, cost)
                }
            }
            costs.append(row)
        }
        return costs
    }

    private func cost(_ first: Int, _ end: Int, _ before: [Int], behind: Int?) -> Int? {
        guard let behind, table.isLegal(first, end) else { return nil }
        return behind + (before[end] - before[first]) * (before[end] - before[first])
    }

    // Only walks where the rest can be cut, so the work is bounded by the cuts found.
    private func extend(_ chosen: [Int], _ missing: Int, _ costs: [[Int?]], _ limit: Int, _ cuts: inout [Cut]) {
        guard cuts.count < limit else { return }
        let first = chosen.last ?? 0
        if missing == 1 {
            guard costs[1][first] != nil, let cut = Cut(layerCount: layerCount, boundaries: chosen) else { return }
            cuts.append(cut)
            return
        }
        for end in first + 1..<layerCount where costs[missing - 1][end] != nil && table.isLegal(first, end) {
            extend(chosen + [end], missing - 1, costs, limit, &cuts)
            if cuts.count >= limit { return }
        }
    }
}
