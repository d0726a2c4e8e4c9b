import Logging
import Synchronization

/// Measures the device that this node's stages compute on, beside everything else the node does, and knows the result.
///
/// What was measured before on the same machine is known at once. Else measuring begins a moment after the start, in a
/// process that yields to every other one; while somebody computes it is tried again a few times, because a disturbed
/// figure is too low. Whatever goes wrong, the speed stays unknown and the node says so once.
final class DeviceSurvey: Sendable {
    /// What a survey tells.
    typealias Measure = @Sendable () async -> Result<DeviceFigures, DeviceProbe.Silence>

    /// Shortest pauses before each try; they are up to twice as long, so that nodes on one machine, which were started
    /// together, do not disturb each other each time.
    static let pauses: [Duration] = [1, 5, 20, 60, 300].map { .seconds($0) }
    /// Tries that may tell nothing before the speed is given up as unknown.
    static let failureLimit = 2

    private let file: DeviceFigureFile
    private let fingerprint: MachineFingerprint
    private let measure: Measure
    private let delay: Double
    private let pause: @Sendable (Duration) async throws -> Void
    private let logger: Logger
    private let known: Mutex<DeviceFigures?>

    /// Prepares a survey with what `file` knows of the machine. Pauses are longer by the share `delay`; `pause` waits,
    /// and throws when the node ends.
    init(
        file: DeviceFigureFile, fingerprint: MachineFingerprint, logger: Logger, delay: Double = 0,
        pause: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) },
        measure: @escaping Measure
    ) {
        self.file = file
        self.fingerprint = fingerprint
        self.logger = logger
        self.delay = delay
        self.pause = pause
        self.measure = measure
        switch file.content(of: fingerprint) {
        case .known(let figures): known = Mutex(figures)
        case .none: known = Mutex(nil)
        case .damaged(let reason):
            logger.warning(
                "what was measured of this machine is damaged; measuring anew", metadata: ["why": "\(reason)"])
            known = Mutex(nil)
        }
    }

    /// What is known now; nil while the speed is unknown.
    var figures: DeviceFigures? { known.withLock { $0 } }

    /// Measures, when that is needed; ends with the figures, when there are none to be had, or when it is cancelled.
    func run() async {
        if let figures, !figures.isDisturbed { return }
        var failures = 0
        for time in Self.pauses {
            do {
                try await pause(time * (1 + delay))
            } catch {
                return
            }
            switch await measure() {
            case .success(let figures):
                if take(figures) { return }
            case .failure(let silence):
                // A node that ends took the process along.
                if Task.isCancelled { return }
                failures += 1
                guard failures >= Self.failureLimit else { continue }
                logger.warning(
                    "this machine's speed could not be measured; plans count with what is known of it",
                    metadata: ["why": "\(silence)", "speed": figures == nil ? "unknown" : "known from before"])
                return
            }
        }
        guard figures?.isDisturbed == true else { return }
        logger.notice(
            "this machine computed all the time while it was measured; it may be faster than plans count with")
    }

    /// Takes figures in; false when a quieter moment should be waited for.
    private func take(_ new: DeviceFigures) -> Bool {
        let best = known.withLock { known in
            let best = new.isDisturbed ? known.map { $0.joined(new) } ?? new : new
            known = best
            return best
        }
        do {
            try file.remember(best, of: fingerprint)
        } catch {
            logger.warning(
                "what was measured of this machine is not kept; the next start measures anew",
                metadata: ["why": "\(error)"])
        }
        return !best.isDisturbed
    }
}
