package import Vocabulary

/// When a better placement is worth the move. Moving costs a load on every machine of the new one and, for stages
/// without room beside the old ones, a pause; readings that jitter must never cause it.
package struct ReplanPolicy: Sendable, Hashable, Codable {
    /// How much less time per token the new placement must take.
    package var leastGain = 0.15
    /// How much more context the new placement must have where it is not slower.
    package var leastContextGain = 0.5
    /// Bytes that may be fetched per percent of gain, so that small gains cause no large transfers.
    package var fetchBytesPerPercent = 2e9

    /// The defaults above.
    package init() {}
}

/// Whether to move to a new placement.
package enum ReplanDecision: Sendable, Hashable, Codable {
    /// Why a placement stays.
    package enum KeepReason: Sendable, Hashable, Codable {
        /// The new one is the same.
        case same
        /// The new one rests on figures nobody measured.
        case unmeasured
        /// The gain is too small. **Units:** shares, 0.07 is 7 %.
        case smallGain(gain: Double, needed: Double)
        /// The gain does not pay for what would have to be fetched.
        case costlyFetch(bytes: ByteCount, allowed: ByteCount)
    }

    /// Why a placement is replaced.
    package enum MoveReason: Sendable, Hashable, Codable {
        /// Tokens come faster. **Units:** share of the time saved.
        case faster(gain: Double)
        /// It has more context and is not slower. **Units:** tokens.
        case moreContext(from: Int, to: Int)
    }

    /// Nothing changes.
    case keep(KeepReason)
    /// The new placement is prepared beside the old one.
    case move(MoveReason)
}

/// Decides between the placement that serves and a better one, with hysteresis.
package enum Replanning {
    /// Whether to move. `current` is the placement that serves, priced by the same figures as `new`.
    package static func decide(
        _ current: PlacementPlan, new: PlacementPlan, policy: ReplanPolicy = .init()
    ) -> ReplanDecision {
        if isSame(current, new) { return .keep(.same) }
        guard current.tokenTime.isMeasured, new.tokenTime.isMeasured else { return .keep(.unmeasured) }
        let before = current.tokenTime.milliseconds
        let gain = before > 0 ? 1 - new.tokenTime.milliseconds / before : 0
        if gain >= policy.leastGain {
            let allowed = ByteCount(UInt64(min(gain * 100 * policy.fetchBytesPerPercent, 1e18)))
            if new.fetchByteCount > allowed {
                return .keep(.costlyFetch(bytes: new.fetchByteCount, allowed: allowed))
            }
            return .move(.faster(gain: gain))
        }
        let wanted = Double(current.context) * (1 + policy.leastContextGain)
        if gain >= 0, Double(new.context) >= wanted {
            return .move(.moreContext(from: current.context, to: new.context))
        }
        return .keep(.smallGain(gain: gain, needed: policy.leastGain))
    }

    private static func isSame(_ old: PlacementPlan, _ new: PlacementPlan) -> Bool {
        old.context == new.context && old.stages.count == new.stages.count
            && zip(old.stages, new.stages).allSatisfy {
                $0.layers == $1.layers && $0.node == $1.node && $0.device == $1.device
            }
    }
}
