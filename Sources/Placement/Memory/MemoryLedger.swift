package import Vocabulary

/// The memory of one device as planning may count on it: the last reading, and what was freed since and does not show
/// in readings yet.
///
/// Systems report freed memory late. Without the credit a deployment that was just deleted would be in the way of the
/// next one; a credit that never ends would plan on memory that somebody else took.
package struct MemoryLedger: Sendable, Hashable, Codable {
    private struct Credit: Sendable, Hashable, Codable {
        var bytes: UInt64
        var until: Instant
    }

    /// How long a credit lasts when readings do not catch up. **Units:** seconds.
    package static let creditSeconds: Int64 = 30

    /// The last reading; nil before the first.
    package private(set) var reading: ByteCount?
    private var credits: [Credit] = []

    /// A ledger without readings.
    package init() {}

    /// Takes a reading. What it has risen since the last one is no longer owed, oldest credit first.
    package mutating func read(_ available: ByteCount, now: Instant) {
        expire(now)
        if let reading, available > reading {
            var risen = available.bytes - reading.bytes
            while risen > 0, let first = credits.first {
                let used = min(risen, first.bytes)
                risen -= used
                if used == first.bytes { credits.removeFirst() } else { credits[0].bytes -= used }
            }
        }
        reading = available
    }

    /// Notes that a stage of this size was freed. Of more than `PlacementLimits.creditCountMax` the oldest is dropped.
    package mutating func freed(_ bytes: ByteCount, now: Instant) {
        expire(now)
        if credits.count == PlacementLimits.creditCountMax { credits.removeFirst() }
        credits.append(Credit(bytes: bytes.bytes, until: now.advanced(by: .seconds(Self.creditSeconds))))
    }

    /// What may be planned with: reading and credits, at most `total`; nil before the first reading.
    package func available(total: ByteCount?, now: Instant) -> ByteCount? {
        guard let reading else { return nil }
        let owed = credits.filter { now < $0.until }.reduce(reading.bytes) { sum, credit in
            let (next, overflow) = sum.addingReportingOverflow(credit.bytes)
            return overflow ? .max : next
        }
        return ByteCount(min(owed, total?.bytes ?? .max))
    }

    private mutating func expire(_ now: Instant) { credits.removeAll { $0.until <= now } }
}

/// The last look before a stage is loaded.
package enum LoadCheck {
    /// What a worker does.
    package enum Verdict: Sendable, Hashable, Codable {
        /// It loads.
        case proceed
        /// It refuses, with the numbers, and the planner leaves it out.
        case refuse(required: ByteCount, available: ByteCount, short: ByteCount)
    }

    /// How much of what a plan needs may be missing: readings jitter by some percent. **Units:** percent.
    package static let tolerancePercent: UInt64 = 10

    /// Compares what the plan says with what there is now.
    package static func check(required: ByteCount, available: ByteCount) -> Verdict {
        let tolerated = required.bytes - required.bytes / 100 * tolerancePercent
        guard available.bytes < tolerated else { return .proceed }
        return .refuse(
            required: required, available: available, short: ByteCount(required.bytes - available.bytes))
    }
}

/// How much of a machine's memory stays its own.
package enum MachineReserve {
    /// What planning leaves a machine: a sixteenth of its memory, at least 256 MiB and at most 4 GiB.
    package static func byteCount(total: ByteCount) -> ByteCount {
        ByteCount(min(max(total.bytes / 16, 256 << 20), 4 << 30))
    }
}
