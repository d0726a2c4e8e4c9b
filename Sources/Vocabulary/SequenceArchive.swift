/// Identity of a sequence on the disks of a placement's machines: SHA-256 of its tokens.
///
/// **Units/encoding:** of each token's four bytes, little-endian, in order.
package struct SequenceKey: Hashable, Sendable, CustomStringConvertible {
    /// Size of a key. **Units:** bytes.
    package static let byteCount = 32

    /// The digest.
    package let bytes: [UInt8]

    /// The identity of these tokens.
    package init(of tokens: [Token]) {
        var flat: [UInt8] = []
        flat.reserveCapacity(4 * tokens.count)
        for token in tokens {
            let word = UInt32(bitPattern: token)
            for shift: UInt32 in [0, 8, 16, 24] { flat.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        bytes = SecureDigest.of(flat)
    }

    /// Takes a digest as it was read; nil when it has another size.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// The digest in hexadecimal, which is also the name of its files.
    package var description: String { Hexadecimal.text(bytes) }
}

/// A sequence that stands on the disks of all stages.
package struct ArchivedSequence: Hashable, Sendable {
    /// Its identity.
    package let key: SequenceKey
    /// Its tokens, by position.
    package let tokens: [Token]

    /// A sequence under the key of its tokens.
    package init(tokens: [Token]) {
        key = SequenceKey(of: tokens)
        self.tokens = tokens
    }
}

/// What every stage does with its part of a sequence on disk; it travels among the other operations, in order.
package struct ArchiveOperation: Hashable, Sendable {
    /// The numbers are those of the wire (docs/protocols/stage-frames.md).
    package enum Action: UInt8, Hashable, Sendable, CaseIterable {
        /// Copy the lane's state out, write it, and report `stored`.
        case save = 5
        /// Read it into memory, check it, and report `fetched`.
        case fetch = 6
        /// Put what was fetched into the lane, which MUST be empty. Fails like a step.
        case restore = 7
        /// Give the memory of what was fetched back.
        case release = 8
        /// Delete it.
        case forget = 9
    }

    /// What to do.
    package var action: Action
    /// The lane that is saved or restored; lane 0 for the others.
    package var lane: Lane
    /// Whose part it is.
    package var key: SequenceKey

    /// Makes an operation.
    package init(_ action: Action, lane: Lane = Lane(0), key: SequenceKey) {
        self.action = action
        self.lane = lane
        self.key = key
    }

    /// Whether it moves a sequence's state, which takes time on the thread that owns the engine.
    package var movesState: Bool { action == .save || action == .restore }
}

/// What became of a stage's part of a sequence.
package struct ArchiveReport: Hashable, Sendable {
    /// The numbers are those of the wire.
    package enum Outcome: UInt8, Hashable, Sendable, CaseIterable {
        /// It is on disk, for good.
        case stored = 1
        /// It is in memory, checked.
        case fetched = 2
        /// It could not be written, or is missing or damaged.
        case failed = 3
    }

    /// Whose part.
    package var key: SequenceKey
    /// The stage, from 0.
    package var stage: Int
    /// What became of it.
    package var outcome: Outcome

    /// Makes a report.
    package init(key: SequenceKey, stage: Int, outcome: Outcome) {
        self.key = key
        self.stage = stage
        self.outcome = outcome
    }
}
