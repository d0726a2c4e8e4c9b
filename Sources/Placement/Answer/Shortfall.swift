package import Vocabulary

/// Why a model cannot be placed, with all numbers, and what would help.
package struct Shortfall: Sendable, Hashable, Codable {
    /// What stands in the way.
    package enum Reason: String, Sendable, Hashable, Codable {
        /// Nobody takes part.
        case noParticipants = "no_participants"
        /// All memory together is less than the model needs.
        case memory
        /// There is enough memory in all, but no legal cut distributes the model over it.
        case fragmentation
        /// The model cannot be cut, or not so, and no machine holds a stage that would be needed.
        case cut
        /// What is pinned or asked for cannot be had together.
        case constraints
    }

    /// A device that took part.
    package struct Participant: Sendable, Hashable, Codable {
        /// The machine.
        package var node: String
        /// The device.
        package var device: String
        /// Memory it offers.
        package var capacity: ByteCount
        /// Bytes of the model its machine has already.
        package var cached: ByteCount
        /// Bytes of the model its machine does not have.
        package var missing: ByteCount
        /// The shortest round trip measured to another participant; nil when none was. **Units:** milliseconds.
        package var roundTripMilliseconds: Double?
    }

    /// Something that would make it fit.
    package enum Remedy: Sendable, Hashable, Codable {
        /// A smaller context. **Units:** tokens.
        case smallerContext(Int)
        /// One more machine with at least this much memory to offer.
        case oneMoreNode(ByteCount)
        /// Caches of these types.
        case smallerCache(keys: CacheFormat, values: CacheFormat)
        /// The number of stages is free.
        case anyStages
        /// Without pins.
        case noPins
    }

    /// GGUF architecture of the model.
    package var architecture: String
    /// What stands in the way.
    package var reason: Reason
    /// Context that was tried. **Units:** tokens.
    package var context: Int
    /// Lanes that were tried.
    package var lanes: Int
    /// Layers of the model.
    package var layerCount: Int
    /// What the whole model needs on one machine with this context.
    package var required: ByteCount
    /// What all participants offer together.
    package var available: ByteCount
    /// What is missing: the difference, or the least that one more machine must offer where that is more.
    package var short: ByteCount
    /// Layers, from the first on, that the participants can hold; -1 when the search tells none.
    package var placeableLayers: Int
    /// Who took part, most memory first.
    package var participants: [Participant]
    /// Who did not, and why.
    package var excluded: [Exclusion]
    /// What would make it fit, the mildest first.
    package var remedies: [Remedy]
}

extension Shortfall: CustomStringConvertible {
    /// One sentence with the numbers.
    package var description: String {
        let need = "\(architecture) with \(context) tokens of context requires \(required)"
        let have = "\(participants.count) participant\(participants.count == 1 ? "" : "s") offer \(available)"
        switch reason {
        case .noParticipants: return "\(need), and no machine takes part."
        case .memory: return "\(need), \(have), short by \(short)."
        case .fragmentation:
            return "\(need), \(have), but no legal cut distributes it: \(placeableLayers) of \(layerCount) layers can "
                + "be placed, short by \(short)."
        case .cut: return "\(need), \(have), but it cannot be cut as that would take."
        case .constraints: return "\(need), \(have), but not with the stages and pins asked for."
        }
    }
}

extension Shortfall.Remedy: CustomStringConvertible {
    /// What to do, in words.
    package var description: String {
        switch self {
        case .smallerContext(let tokens): "ask for at most \(tokens) tokens of context (--ctx \(tokens))"
        case .oneMoreNode(let bytes): "add one more machine that can offer at least \(bytes)"
        case .smallerCache(let keys, let values):
            "store the cache smaller (--cache-type-k \(keys.rawValue) --cache-type-v \(values.rawValue))"
        case .anyStages: "leave the number of stages to the planner (--stages auto)"
        case .noPins: "remove the pins"
        }
    }
}
