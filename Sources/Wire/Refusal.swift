package import Vocabulary

/// Why an acceptor refuses a connection. Every mismatch names both values: what the dialer offered and what is held.
package enum Refusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// No protocol version is common to both ends.
    case versions(offered: ClosedRange<UInt16>, held: ClosedRange<UInt16>)
    /// The dialer belongs to another cluster.
    case cluster(offered: String, held: String)
    /// The dialer belongs to another placement.
    case placement(offered: String, held: String)
    /// The dialer's epoch is older than the one this stage obeys.
    case fenced(offered: Epoch, held: Epoch)
    /// The dialer's epoch is newer than the one this stage was placed for.
    case epochAhead(offered: Epoch, held: Epoch)
    /// Nobody waits for a connection of this role here.
    case role(offered: LinkRole, held: [LinkRole])
    /// The dialer wanted another stage.
    case stage(offered: Int, held: Int)
    /// The dialer believes this stage runs other layers.
    case layers(offered: LayerRange, held: LayerRange)
    /// The dialer is not the stage that this role and this stage's place ask for; nil is no stage.
    case neighbour(offered: StagePlace?, held: StagePlace?)
    /// The dialer runs another model.
    case model(offered: ModelDigest, held: ModelDigest)
    /// The dialer's rows have another width.
    case width(offered: Int, held: Int)
    /// The placement uses another wire format.
    case format(offered: WireFormat, held: WireFormat)
    /// The link lacks the capability the wire format needs.
    case formatUnsupported(offered: WireFormat, common: LinkCapabilities)
    /// The hello cannot be understood.
    case malformed(reason: String)
    /// A reason of a newer release, in its own words.
    case other(code: UInt16, reason: String)

    /// One sentence with both values and the next step.
    package var description: String {
        switch self {
        case .versions(let offered, let held):
            "The dialer speaks protocol versions \(offered.lowerBound) to \(offered.upperBound), this stage "
                + "\(held.lowerBound) to \(held.upperBound); update the older release."
        case .cluster(let offered, let held):
            "The dialer belongs to cluster \(offered), this stage to \(held); join one cluster."
        case .placement(let offered, let held):
            "The dialer belongs to placement \(offered), this stage to \(held); wait for the new placement."
        case .fenced(let offered, let held):
            "The dialer's epoch \(offered) is older than \(held), which this stage obeys; the dialer must stop."
        case .epochAhead(let offered, let held):
            "The dialer's epoch \(offered) is newer than \(held), for which this stage was placed; place it again."
        case .role(let offered, let held):
            "A connection of role \(offered) is not taken here, only of "
                + "\(held.map(\.description).joined(separator: ", ")); its placement is out of date."
        case .stage(let offered, let held):
            "The dialer wanted stage \(offered) but this is stage \(held); its placement is out of date."
        case .layers(let offered, let held):
            "The dialer expects the layers \(offered) here but this stage runs \(held); its placement is out of date."
        case .neighbour(let offered, let held):
            "The dialer is \(offered?.description ?? "no stage") but \(held?.description ?? "no stage") was expected; "
                + "its placement is out of date."
        case .model(let offered, let held):
            "The dialer runs the model \(offered), this stage \(held); both need the same file."
        case .width(let offered, let held):
            "The dialer's rows have \(offered) floats, this stage's \(held); both need the same model."
        case .format(let offered, let held):
            "The dialer sends \(offered) but the placement uses \(held); use one --wire for all stages."
        case .formatUnsupported(let offered, let common):
            "The wire format \(offered) needs capabilities \(LinkCapabilities.needed(for: offered)) but both ends "
                + "have only \(common); use --wire f32 or update the older release."
        case .malformed(let reason):
            "The hello cannot be understood: \(reason)"
        case .other(let code, let reason):
            "Refused with reason \(code): \(reason)"
        }
    }

    /// The numbers of the reasons this release knows.
    package static let codes: ClosedRange<UInt16> = 1...14

    /// Number of the reason on the wire.
    package var code: UInt16 {
        switch self {
        case .versions: 1
        case .cluster: 2
        case .placement: 3
        case .fenced: 4
        case .epochAhead: 5
        case .role: 6
        case .stage: 7
        case .layers: 8
        case .neighbour: 9
        case .model: 10
        case .width: 11
        case .format: 12
        case .formatUnsupported: 13
        case .malformed: 14
        case .other(let code, _): code
        }
    }
}

extension FrameWriter {
    /// Appends a refusal; its header carries the newest version the acceptor speaks.
    ///
    /// **Throws:** `cannotEncode` for places or widths beyond their limits.
    package mutating func refuse(
        _ refusal: Refusal, versions: ClosedRange<UInt16> = Handshake.versions
    ) throws(WireError) {
        if case .other(let code, _) = refusal, Refusal.codes.contains(code) {
            throw .cannotEncode(field: "refuse.code", value: Int(code), allowed: "above \(Refusal.codes.upperBound)")
        }
        version = versions.upperBound
        let reason = refusal.reason.cut(utf8Count: Limits.reasonBytes)
        try frame(.refuse, stream: 0) { writer throws(WireError) in
            try writer.put(refusal.code)
            try writer.put16(reason.utf8.count, "refuse.reason")
            try writer.putText(reason)
            try writer.putValues(refusal)
        }
    }

    private mutating func putValues(_ refusal: Refusal) throws(WireError) {
        switch refusal {
        case .versions(let offered, let held):
            for versions in [offered, held] {
                try put(versions.lowerBound)
                try put(versions.upperBound)
            }
        case .cluster(let offered, let held), .placement(let offered, let held):
            for text in [offered, held] {
                try put16(text.utf8.count, "refuse.identity", limit: Limits.identityBytes)
                try putText(text)
            }
        case .fenced(let offered, let held), .epochAhead(let offered, let held):
            try put(offered)
            try put(held)
        case .role(let offered, let held):
            try put(offered.rawValue)
            let held = held.prefix(LinkRole.allCases.count)
            try put(UInt8(truncatingIfNeeded: held.count))
            for role in held {
                try put(role.rawValue)
            }
        case .stage(let offered, let held):
            try put16(offered, "refuse.stage")
            try put16(held, "refuse.stage")
        case .layers(let offered, let held):
            for layers in [offered, held] {
                try put32(layers.first, "refuse.layers", limit: Limits.layers)
                try put32(layers.end, "refuse.layers", limit: Limits.layers)
            }
        case .neighbour(let offered, let held):
            try put(offered)
            try put(held)
        case .model(let offered, let held):
            try putBytes(unsafe offered.bytes.span.bytes)
            try putBytes(unsafe held.bytes.span.bytes)
        case .width(let offered, let held):
            try put32(offered, "refuse.width")
            try put32(held, "refuse.width")
        case .format(let offered, let held):
            try put(offered.rawValue)
            try put(held.rawValue)
        case .formatUnsupported(let offered, let common):
            try put(offered.rawValue)
            try put(common.rawValue)
        case .malformed, .other:
            break
        }
    }
}

extension Refusal {
    /// The words that travel with the code, for releases that do not know it.
    fileprivate var reason: String {
        switch self {
        case .malformed(let reason), .other(_, let reason): reason
        default: description
        }
    }
}

extension ByteReader {
    /// The body of a refusal; a reason this release does not know keeps its words.
    mutating func refusal(_ bytes: RawSpan) throws(WireError) -> Refusal {
        let code = try u16(bytes, "refuse.code")
        let reasonCount = try shortCount(bytes, "refuse.reason", limit: Limits.reasonBytes)
        let reason = try text(bytes, count: reasonCount, "refuse.reason")
        switch code {
        case 1:
            let offered = try versions(bytes, "refuse.offered")
            return .versions(offered: offered, held: try versions(bytes, "refuse.held"))
        case 2: return .cluster(offered: try identity(bytes), held: try identity(bytes))
        case 3: return .placement(offered: try identity(bytes), held: try identity(bytes))
        case 4: return .fenced(offered: try epoch(bytes, "refuse.offered"), held: try epoch(bytes, "refuse.held"))
        case 5: return .epochAhead(offered: try epoch(bytes, "refuse.offered"), held: try epoch(bytes, "refuse.held"))
        case 6:
            let offered = try role(bytes, "refuse.offered")
            var held: [LinkRole] = []
            for _ in 0..<(try u8(bytes, "refuse.held")) {
                held.append(try role(bytes, "refuse.held"))
            }
            return .role(offered: offered, held: held)
        case 7: return .stage(offered: Int(try u16(bytes, "refuse.offered")), held: Int(try u16(bytes, "refuse.held")))
        case 8: return .layers(offered: try layers(bytes), held: try layers(bytes))
        case 9:
            let offered = try optionalPlace(bytes, "refuse.offered")
            return .neighbour(offered: offered, held: try optionalPlace(bytes, "refuse.held"))
        case 10: return .model(offered: try digest(bytes, "refuse.offered"), held: try digest(bytes, "refuse.held"))
        case 11: return .width(offered: Int(try u32(bytes, "refuse.offered")), held: Int(try u32(bytes, "refuse.held")))
        case 12: return .format(offered: try format(bytes, "refuse.offered"), held: try format(bytes, "refuse.held"))
        case 13:
            let offered = try format(bytes, "refuse.offered")
            return .formatUnsupported(
                offered: offered, common: LinkCapabilities(rawValue: try u64(bytes, "refuse.held")))
        case 14: return .malformed(reason: reason)
        default: return .other(code: code, reason: reason)
        }
    }

    private mutating func identity(_ bytes: RawSpan) throws(WireError) -> String {
        let count = try shortCount(bytes, "refuse.identity", limit: Limits.identityBytes)
        return try text(bytes, count: count, "refuse.identity")
    }

    private mutating func layers(_ bytes: RawSpan) throws(WireError) -> LayerRange {
        let first = try count(bytes, "refuse.layers", limit: Limits.layers)
        let end = try count(bytes, "refuse.layers", limit: Limits.layers)
        guard first < end else {
            throw .invalidValue(field: "refuse.layers", offset: offset - 8, value: first, allowed: "below \(end)")
        }
        return LayerRange(first: first, end: end)
    }
}
