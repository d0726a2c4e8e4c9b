import GGUF
package import Placement

/// What a survey measured of the device that stages of this machine compute on.
package struct DeviceFigures: Codable, Hashable, Sendable {
    /// The engine's name of the device; nil is the processor.
    package var device: String?
    /// Threads of the processor.
    package var threads: Int
    /// How fast it is.
    package var speed: DeviceSpeed
    /// Whether others used the processor meanwhile, so that it may be faster than this.
    package var isDisturbed: Bool

    /// Puts figures together.
    package init(device: String?, threads: Int, speed: DeviceSpeed, isDisturbed: Bool) {
        self.device = device
        self.threads = threads
        self.speed = speed
        self.isDisturbed = isDisturbed
    }

    /// Fastest rate that is believed, in bytes or operations per second.
    private static let rateMax = 1e18
    /// Most types of weights.
    private static let typeCountMax = 16

    /// Whether every figure is one that a machine can have; what another process or a file says need not be.
    package var isPlausible: Bool {
        func isRate(_ rate: Double?) -> Bool { rate.map { $0.isFinite && (1...Self.rateMax).contains($0) } ?? true }
        let names = Set(TensorType.allCases.map(\.description))
        return (1...1024).contains(threads) && speed.weightReadBytesPerSecond != nil
            && isRate(speed.weightReadBytesPerSecond) && isRate(speed.prefillOperationsPerSecond)
            && isRate(speed.attentionOperationsPerSecond) && speed.rowCosts.count <= Self.typeCountMax
            && speed.rowCosts.allSatisfy { cost in
                names.contains(cost.type) && (1...PlacementLimits.rowsMax).contains(cost.rows)
                    && cost.millisecondsPerGigabyte > 0 && isRate(1e12 / cost.millisecondsPerGigabyte)
            }
    }

    /// The better of two disturbed surveys, figure by figure: a neighbour can only make a device look slower.
    func joined(_ other: DeviceFigures) -> DeviceFigures {
        func faster(_ one: Double?, _ two: Double?) -> Double? {
            guard let one, let two else { return one ?? two }
            return max(one, two)
        }
        var joined = self
        joined.isDisturbed = isDisturbed && other.isDisturbed
        joined.speed.weightReadBytesPerSecond = faster(
            speed.weightReadBytesPerSecond, other.speed.weightReadBytesPerSecond)
        joined.speed.prefillOperationsPerSecond = faster(
            speed.prefillOperationsPerSecond, other.speed.prefillOperationsPerSecond)
        joined.speed.attentionOperationsPerSecond = faster(
            speed.attentionOperationsPerSecond, other.speed.attentionOperationsPerSecond)
        for cost in other.speed.rowCosts {
            let place = joined.speed.rowCosts.firstIndex { $0.type == cost.type && $0.rows == cost.rows }
            guard let place else {
                joined.speed.rowCosts.append(cost)
                continue
            }
            let known = joined.speed.rowCosts[place].millisecondsPerGigabyte
            joined.speed.rowCosts[place].millisecondsPerGigabyte = min(known, cost.millisecondsPerGigabyte)
        }
        return joined
    }
}
