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

    /// Time of what a layer computes of one row between its products: norms, rotations, gates, sums and quantising.
    /// **Units:** milliseconds; 0 on devices whose rate of attention is unknown.
    func elementMilliseconds(_ layer: Int, on speed: DeviceSpeed) -> Double {
        guard let operations = speed.attentionOperationsPerSecond else { return 0 }
        let work = model.work.layers[layer]
        let products = work.queries + work.keys + work.values + work.answers
        let elements = 4 * UInt64(model.width) + products + 3 * (work.feedForward + work.experts) + 2 * work.recurrent
        return Double(elements) * Self.operationsPerElement / operations * 1000
    }

    /// What an element between the products costs, in operations of attention, which is as little of a product: what
    /// `skein bench placement` found missing in three shapes (docs/internals/placement.md).
    private static let operationsPerElement = 96.0

    /// Time of one row in the stage `layers`, and what it is made of.
    func basis(_ layers: LayerRange, on speed: DeviceSpeed) -> SpeedBasis {
        var basis = SpeedBasis(stepMilliseconds: policy.stageMilliseconds)
        var bytes = 0.0
        for layer in layers.indices {
            bytes += model.streams[layer].byteCountPerRow
            basis.weightTime += time(model.streams[layer], rows: 1, on: speed)
            basis.cacheTime += cacheTime(layer, on: speed)
            basis.stepMilliseconds += elementMilliseconds(layer, on: speed)
        }
        if layers.end == model.layerCount {
            bytes += model.headStream.byteCountPerRow
            basis.weightTime += time(model.headStream, rows: 1, on: speed)
        }
        basis.readBytes = ByteCount(UInt64(bytes))
        return basis
    }

    private func time(
        bytes: Double, operations: Double, type: TensorType, rows: Int, on speed: DeviceSpeed
    ) -> PredictedTime {
        if let cost = Self.interpolated(
            speed.rowCosts, type: type, rows: rows,
            beyond: speed.prefillOperationsPerSecond.map { operations / $0 * 1e12 / max(1, bytes) })
        {
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

    /// The cost of `rows` rows between the neighbouring measurements of the type. Beyond the last one it is what
    /// computing takes, `computing`, but no less than the last one; where that was not measured it grows with the rows.
    static func interpolated(
        _ costs: [DeviceSpeed.RowCost], type: TensorType, rows: Int, beyond computing: Double? = nil
    ) -> Double? {
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
        case (let low?, nil):
            guard let computing else { return low.millisecondsPerGigabyte * Double(rows) / Double(low.rows) }
            return max(low.millisecondsPerGigabyte, computing)
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
        let rate = link?.bytesPerSecond ?? policy.assumedLinkBytesPerSecond
        let bytes = Double(rows) * Double(model.width) * request.wireBytesPerElement
        return PredictedTime(milliseconds: policy.hopMilliseconds, isMeasured: true) + way(link)
            + PredictedTime(milliseconds: bytes / rate * 1000, isMeasured: link?.bytesPerSecond != nil)
    }

    /// The way of a token from the last stage back to the entry.
    func returnHop(_ link: LinkInventory?, isLocal: Bool) -> PredictedTime {
        guard !isLocal else { return PredictedTime(milliseconds: policy.localHopMilliseconds, isMeasured: true) }
        return PredictedTime(milliseconds: policy.hopMilliseconds, isMeasured: true) + way(link)
    }

    /// Half a round trip.
    private func way(_ link: LinkInventory?) -> PredictedTime {
        PredictedTime(
            milliseconds: (link?.roundTripMilliseconds ?? policy.assumedRoundTripMilliseconds) / 2,
            isMeasured: link?.roundTripMilliseconds != nil)
    }
}

/// A predicted time, and how much of it rests on figures that were measured.
package struct PredictedTime: Sendable, Hashable, Codable {
    /// A prediction counts as measured while no more than this share of it rests on figures that stand in for others.
    package static let assumedShareMax = 0.05

    /// The time.
    package var milliseconds: Double
    /// What of it rests on figures that were never measured and had to be stood in for.
    package var assumedMilliseconds: Double

    /// False when too much rests on figures that were never measured: the time then only orders placements.
    package var isMeasured: Bool { assumedMilliseconds <= Self.assumedShareMax * milliseconds }

    /// Makes a prediction of which all or nothing was measured.
    package init(milliseconds: Double, isMeasured: Bool) {
        self.milliseconds = milliseconds
        assumedMilliseconds = isMeasured ? 0 : milliseconds
    }

    private enum CodingKeys: String, CodingKey {
        case milliseconds
        case assumedMilliseconds
        case isMeasured
    }

    /// Reads a prediction. **Throws:** `DecodingError` when a time is missing.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        milliseconds = try container.decode(Double.self, forKey: .milliseconds)
        assumedMilliseconds = try container.decode(Double.self, forKey: .assumedMilliseconds)
    }

    /// Writes a prediction. **Throws:** what the encoder throws.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(milliseconds, forKey: .milliseconds)
        try container.encode(assumedMilliseconds, forKey: .assumedMilliseconds)
        try container.encode(isMeasured, forKey: .isMeasured)
    }

    static let zero = PredictedTime(milliseconds: 0, isMeasured: true)

    static func + (left: PredictedTime, right: PredictedTime) -> PredictedTime {
        var sum = PredictedTime(milliseconds: left.milliseconds + right.milliseconds, isMeasured: true)
        sum.assumedMilliseconds = left.assumedMilliseconds + right.assumedMilliseconds
        return sum
    }

    static func += (left: inout PredictedTime, right: PredictedTime) { left = left + right }

    static func * (time: PredictedTime, factor: Double) -> PredictedTime {
        var product = PredictedTime(milliseconds: time.milliseconds * factor, isMeasured: true)
        product.assumedMilliseconds = time.assumedMilliseconds * factor
        return product
    }
}
