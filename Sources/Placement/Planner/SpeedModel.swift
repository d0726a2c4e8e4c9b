import GGUF
import Vocabulary

/// Predicts how long stages and hops take from what was measured, and says where a figure only stands in for one.
struct SpeedModel {
    let model: ModelFootprint
    let request: PlacementRequest
    let policy: PlacementPolicy

    /// Time of a step that reads `stream`, for `rows` rows.
    func time(_ stream: LayerStream, rows: Int, on speed: DeviceSpeed) -> PredictedTime {
        let share = stream.share(rows: rows)
        var time = PredictedTime.zero
        for part in stream.parts {
            let bytes = Double(part.dense) + Double(part.experts) * share
            let operations = 2 * Double(part.elements) * Double(rows)
            time += self.time(bytes: bytes, operations: operations, type: part.type, rows: rows, on: speed)
        }
        return time
    }

    /// Time of one row's attention over the cache of a layer, in the middle of a typical answer: what takes longer,
    /// reading it or computing with it.
    func cacheTime(_ layer: Int, on speed: DeviceSpeed) -> PredictedTime {
        let settings = request.settings(cells: 1)
        let depth = Double(policy.promptTokens + policy.answerTokens / 2)
        let bytes = depth * Double(model.caches[layer].byteCountPerToken(settings))
        let rate = speed.weightReadBytesPerSecond ?? policy.assumedReadBytesPerSecond
        var seconds = bytes / rate
        if bytes > 0, let operations = speed.attentionOperationsPerSecond {
            let work = model.work.layers[layer]
            seconds = max(seconds, depth * 2 * Double(work.queries + work.answers) / operations)
        }
        return PredictedTime(milliseconds: seconds * 1000, isMeasured: speed.weightReadBytesPerSecond != nil)
    }

    private func time(
        bytes: Double, operations: Double, type: TensorType, rows: Int, on speed: DeviceSpeed
    ) -> PredictedTime {
        if let cost = Self.interpolated(speed.rowCosts, type: type, rows: rows) {
            return PredictedTime(milliseconds: bytes / 1e9 * cost, isMeasured: true)
        }
        let read = bytes / (speed.weightReadBytesPerSecond ?? policy.assumedReadBytesPerSecond)
        // A single row waits for memory, whatever the device computes.
        guard rows > 1 else {
            return PredictedTime(milliseconds: read * 1000, isMeasured: speed.weightReadBytesPerSecond != nil)
        }
        let compute = operations / (speed.prefillOperationsPerSecond ?? policy.assumedOperationsPerSecond)
        return PredictedTime(
            milliseconds: max(read, compute) * 1000,
            isMeasured: speed.weightReadBytesPerSecond != nil && speed.prefillOperationsPerSecond != nil)
    }

    /// The cost of `rows` rows between the neighbouring measurements of the type; beyond the last one the cost grows
    /// with the rows.
    static func interpolated(_ costs: [DeviceSpeed.RowCost], type: TensorType, rows: Int) -> Double? {
        let name = type.description
        var below: DeviceSpeed.RowCost?
        var above: DeviceSpeed.RowCost?
        for cost in costs where cost.type == name {
            if cost.rows <= rows, cost.rows > below?.rows ?? 0 { below = cost }
            if cost.rows >= rows, cost.rows < above?.rows ?? .max { above = cost }
        }
        switch (below, above) {
        case (let low?, let high?) where low.rows == high.rows: return low.millisecondsPerGigabyte
        case (let low?, let high?):
            let place = Double(rows - low.rows) / Double(high.rows - low.rows)
            return low.millisecondsPerGigabyte
                + (high.millisecondsPerGigabyte - low.millisecondsPerGigabyte) * place
        case (let low?, nil): return low.millisecondsPerGigabyte * Double(rows) / Double(low.rows)
        case (nil, _): return nil
        }
    }

    // MARK: Requests

    /// Rows of a prefill step.
    var prefillRows: Int { max(1, min(request.rows, policy.promptTokens)) }

    /// Steps of a typical prompt.
    var prefillSteps: Int { (policy.promptTokens + prefillRows - 1) / prefillRows }

    /// A hop that carries `rows` rows of the residual; nil node names mean the same machine.
    func hop(_ link: LinkInventory?, isLocal: Bool, rows: Int) -> PredictedTime {
        guard !isLocal else { return PredictedTime(milliseconds: policy.localHopMilliseconds, isMeasured: true) }
        let roundTrip = link?.roundTripMilliseconds ?? policy.assumedRoundTripMilliseconds
        let rate = link?.bytesPerSecond ?? policy.assumedLinkBytesPerSecond
        let bytes = Double(rows) * Double(model.width) * request.wireBytesPerElement
        return PredictedTime(
            milliseconds: roundTrip / 2 + policy.hopMilliseconds + bytes / rate * 1000,
            isMeasured: link?.roundTripMilliseconds != nil && link?.bytesPerSecond != nil)
    }

    /// The way of a token from the last stage back to the entry.
    func returnHop(_ link: LinkInventory?, isLocal: Bool) -> PredictedTime {
        guard !isLocal else { return PredictedTime(milliseconds: policy.localHopMilliseconds, isMeasured: true) }
        let roundTrip = link?.roundTripMilliseconds ?? policy.assumedRoundTripMilliseconds
        return PredictedTime(
            milliseconds: roundTrip / 2 + policy.hopMilliseconds, isMeasured: link?.roundTripMilliseconds != nil)
    }
}

/// A predicted time, and whether all that it rests on was measured.
package struct PredictedTime: Sendable, Hashable, Codable {
    /// The time.
    package var milliseconds: Double
    /// False when a figure that was never measured had to be stood in for: the time then only orders placements.
    package var isMeasured: Bool

    /// Makes a prediction.
    package init(milliseconds: Double, isMeasured: Bool) {
        self.milliseconds = milliseconds
        self.isMeasured = isMeasured
    }

    static let zero = PredictedTime(milliseconds: 0, isMeasured: true)

    static func + (left: PredictedTime, right: PredictedTime) -> PredictedTime {
        PredictedTime(
            milliseconds: left.milliseconds + right.milliseconds, isMeasured: left.isMeasured && right.isMeasured)
    }

    static func += (left: inout PredictedTime, right: PredictedTime) { left = left + right }

    static func * (time: PredictedTime, factor: Double) -> PredictedTime {
        PredictedTime(milliseconds: time.milliseconds * factor, isMeasured: time.isMeasured)
    }
}
