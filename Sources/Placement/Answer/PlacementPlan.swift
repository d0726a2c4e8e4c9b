package import Vocabulary

/// What planning answers.
package enum PlacementAnswer: Sendable, Hashable, Codable {
    /// It fits, and so.
    case placed(PlacementPlan)
    /// It does not fit, and why.
    case shortfall(Shortfall)
}

/// Why a placement has the context it has.
package enum ContextReason: String, Sendable, Hashable, Codable {
    /// It was asked for.
    case asked
    /// The model was trained for no more.
    case trained
    /// More is given only when it is asked for.
    case unaskedLimit = "unasked_limit"
    /// More would not fit in what weights leave.
    case memory
    /// More would need a slower placement.
    case speed
}

/// Stages on machines, with the arithmetic behind them.
package struct PlacementPlan: Sendable, Hashable, Codable {
    /// GGUF architecture of the model.
    package var architecture: String
    /// Where it is cut.
    package var cut: Cut
    /// Context of the placement, shared by its lanes. **Units:** tokens.
    package var context: Int
    /// Why it is that much.
    package var contextReason: ContextReason
    /// The machine whose memory bounds the context, when memory does.
    package var contextNode: String?
    /// The stages in order.
    package var stages: [StagePlan]
    /// The way of a token from the last stage back to the entry; zero with one stage.
    package var returnHop: PredictedTime
    /// Time per token of one request alone.
    package var tokenTime: PredictedTime
    /// Time to the first token of a typical prompt.
    package var firstTokenTime: PredictedTime
    /// Time per token of the slowest stage or hop, which bounds many requests together.
    package var bottleneckTime: PredictedTime
    /// Time per token of the fastest single machine that would hold the whole model; nil when none would.
    package var soloTime: PredictedTime?
    /// What the search minimised. **Units:** nanoseconds per token of a typical request.
    package var cost: Int64
    /// Machines that take no part, with the reason.
    package var excluded: [Exclusion]

    /// Tokens per second of one request alone.
    package var tokensPerSecond: Double {
        tokenTime.milliseconds > 0 ? 1000 / tokenTime.milliseconds : 0
    }

    /// Bytes all machines together must fetch.
    package var fetchByteCount: ByteCount { ByteCount(stages.reduce(0) { $0 + $1.missing.bytes }) }
}

/// One stage of a plan.
package struct StagePlan: Sendable, Hashable, Codable {
    /// Its place in the chain.
    package var index: Int
    /// The layers.
    package var layers: LayerRange
    /// The machine.
    package var node: String
    /// The device on it.
    package var device: String
    /// What it needs, by what for.
    package var footprint: StageFootprint
    /// What is kept free beside it because a cache must not fill what weights leave.
    package var reserve: ByteCount
    /// What the device has to offer before this stage.
    package var freeBefore: ByteCount
    /// What it has left behind it.
    package var freeAfter: ByteCount
    /// Bytes of its weights that the machine has already.
    package var cached: ByteCount
    /// Bytes of its weights that the machine must fetch.
    package var missing: ByteCount
    /// Time per token in this stage.
    package var tokenTime: PredictedTime
    /// What that time is made of.
    package var basis: SpeedBasis
    /// Time of a typical prompt in this stage.
    package var promptTime: PredictedTime
    /// Time per token of the hop to the next stage; nil behind the last one.
    package var hopTime: PredictedTime?
    /// What was measured of the link of that hop; nil behind the last stage, within a machine, and where nothing was.
    package var hopLink: LinkInventory?

    /// Tokens per second that the stage would come to by itself.
    package var tokensPerSecond: Double {
        tokenTime.milliseconds > 0 ? 1000 / tokenTime.milliseconds : 0
    }
}

/// What a stage's time per token is worked out from.
package struct SpeedBasis: Sendable, Hashable, Codable {
    /// Bytes of weights that a row reads: of experts those it uses, in the last stage the head.
    package var readBytes = ByteCount(0)
    /// How long that takes.
    package var weightTime = PredictedTime.zero
    /// How long attention takes over the cache of a request in the middle of its answer.
    package var cacheTime = PredictedTime.zero
    /// What a step costs beside. **Units:** milliseconds.
    package var stepMilliseconds: Double

    /// All of it.
    package var tokenTime: PredictedTime {
        weightTime + cacheTime + PredictedTime(milliseconds: stepMilliseconds, isMeasured: true)
    }

    /// The rate at which the weights are read. **Units:** bytes per second.
    package var bytesPerSecond: Double {
        weightTime.milliseconds > 0 ? Double(readBytes.bytes) / weightTime.milliseconds * 1000 : 0
    }
}

/// A machine or device that takes no part.
package struct Exclusion: Sendable, Hashable, Codable {
    /// Why.
    package enum Reason: String, Sendable, Hashable, Codable, CaseIterable {
        /// Others were named by `on`.
        case notNamed = "not_named"
        /// It was excluded by name.
        case excludedByUser = "excluded_by_user"
        /// It lacks a tag that is required.
        case missingTag = "missing_tag"
        /// It does not answer.
        case unreachable
        /// It is being emptied.
        case draining
        /// It speaks no common version of the protocol.
        case versionUnsupported = "version_unsupported"
        /// It could not fetch the model.
        case fetchFailed = "fetch_failed"
        /// It refused to load because memory was short.
        case refused
        /// It has no engine that works.
        case engineUnavailable = "engine_unavailable"
        /// It has no device.
        case noDevice = "no_device"
        /// Nobody knows how much memory it has.
        case memoryUnknown = "memory_unknown"
        /// It cannot hold even the smallest stage.
        case tooSmall = "too_small"
        /// More devices take part than a search takes.
        case tooMany = "too_many"
        /// Another replica uses it.
        case usedByReplica = "used_by_replica"
    }

    /// The machine.
    package var node: String
    /// The device; nil when the reason is the machine's.
    package var device: String?
    /// Why.
    package var reason: Reason
    /// What the reason is about: the tag that is missing, or nothing.
    package var detail: String?

    /// Makes an exclusion.
    package init(node: String, device: String?, reason: Reason, detail: String?) {
        self.node = node
        self.device = device
        self.reason = reason
        self.detail = detail
    }
}
