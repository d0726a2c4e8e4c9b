package import Vocabulary

/// Identity of a microbatch; it grows by one with every microbatch and is never used again.
package struct StepID: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    /// The number behind the identity.
    package let value: UInt64

    /// Wraps a number.
    package init(_ value: UInt64) { self.value = value }

    /// The number in text.
    package var description: String { "\(value)" }

    /// Orders by the order of sending.
    package static func < (left: StepID, right: StepID) -> Bool { left.value < right.value }
}

extension EngineCore {
    /// What can happen to the brain.
    package enum Input: Sendable {
        /// A request arrived; templating and tokenising are done.
        case submit(request: GenerationRequest, prepared: PreparedPrompt)
        /// The client went away or asked to stop. Unknown and ended requests are ignored.
        case cancel(RequestID)
        /// Stage 0 computed the microbatch and its activations went out: stage 0 is free for the next one.
        case stepCompleted(StepID)
        /// The last stage finished the microbatch; it answers every one, with no tokens when no row samples.
        case sampled(StepID, [SampledToken])
        /// A stage could not run the microbatch's rows; its operations were applied and passed on all the same.
        case stepFailed(StepID, stage: Int, EngineError)
        /// The draft model did the work with this number; one entry per wish.
        case drafted(UInt64, [DraftedLane])
        /// The draft model could not do the work with this number.
        case draftFailed(UInt64, EngineError)
        /// A stage died or was cut off; nothing that was in flight comes back.
        case stageLost(stage: Int, reason: String)
        /// Every stage runs again, after `stageLost`.
        case stagesReady
        /// Kept sequences of ended requests are to be forgotten.
        case forgetPrefixes
        /// Every stage has a disk for sequences; these stand there, the one not used for longest first.
        case archiveOpened([ArchivedSequence])
        /// A stage's part of a sequence was written or read, or could not be.
        case archiveReport(ArchiveReport)
        /// The placement ends: what is kept is to be written as soon as nothing runs.
        case archiveAll
        /// The time asked for by `wakeAt` came.
        case tick
    }
}
