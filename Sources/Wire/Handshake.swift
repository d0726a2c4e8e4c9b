package import Vocabulary

/// What the acceptor of a connection is, for comparing with a hello.
package struct Acceptor: Hashable, Sendable {
    /// Protocol versions it speaks.
    package var versions: ClosedRange<UInt16>
    /// What it can do.
    package var capabilities: LinkCapabilities
    /// Identity of the cluster.
    package var cluster: String
    /// Identity of the placement.
    package var placement: String
    /// The highest epoch it has accepted.
    package var epoch: Epoch
    /// Its place.
    package var place: StagePlace
    /// The place before it, which dials it as `upstream`; nil for the entry stage.
    package var previous: StagePlace?
    /// The last stage, which dials the entry stage for direct return.
    package var last: StagePlace
    /// SHA-256 of its model.
    package var model: ModelDigest
    /// Floats per row.
    package var width: Int
    /// The placement's wire format; nil takes any that both ends can decode.
    package var format: WireFormat?
    /// The roles it takes connections of.
    package var roles: [LinkRole]
    /// Largest frame it takes, header included. **Units:** bytes.
    package var frameByteLimit: Int

    /// Makes an acceptor.
    package init(
        versions: ClosedRange<UInt16> = Handshake.versions, capabilities: LinkCapabilities = .all, cluster: String,
        placement: String, epoch: Epoch, place: StagePlace, previous: StagePlace?, last: StagePlace,
        model: ModelDigest, width: Int, format: WireFormat?, roles: [LinkRole],
        frameByteLimit: Int = Limits.frameBytes
    ) {
        self.versions = versions
        self.capabilities = capabilities
        self.cluster = cluster
        self.placement = placement
        self.epoch = epoch
        self.place = place
        self.previous = previous
        self.last = last
        self.model = model
        self.width = width
        self.format = format
        self.roles = roles
        self.frameByteLimit = frameByteLimit
    }
}

/// How two ends of a connection agree.
///
/// The dialer sends `hello`; the acceptor answers `welcome` or `refuse`. The layout of these three frames never
/// changes, later versions only append to hello and welcome, so every release can at least refuse every other one in
/// words.
package enum Handshake {
    /// Protocol versions this release speaks.
    package static let versions: ClosedRange<UInt16> = 1...1
    /// First field of a hello: the bytes `SKEN`.
    package static let magic: UInt32 = 0x4E45_4B53

    /// What an acceptor says to a hello.
    package enum Answer: Hashable, Sendable {
        /// The connection is taken.
        case welcome(Welcome)
        /// The connection is refused.
        case refuse(Refusal)
    }

    /// A frame of the handshake, decoded.
    package enum Message: Hashable, Sendable {
        /// The dialer's offer.
        case hello(Hello)
        /// The acceptor agrees.
        case welcome(Welcome)
        /// The acceptor refuses.
        case refuse(Refusal)
    }

    /// Decodes the body that belongs to a checked header of the handshake.
    ///
    /// `newest` is the newest version the receiver speaks: only a newer peer may append unknown fields.
    /// **Throws:** `unexpectedKind` after the handshake; everything a body can have wrong.
    package static func parse(
        _ header: FrameHeader, body: RawSpan, newest: UInt16 = versions.upperBound
    ) throws(WireError) -> Message {
        var reader = ByteReader(body)
        let message: Message
        switch header.kind {
        case .hello: message = .hello(try reader.hello(body))
        case .welcome: message = .welcome(try reader.welcome(body))
        case .refuse: message = .refuse(try reader.refusal(body))
        default: throw .unexpectedKind(header.kind, expected: "hello, welcome or refuse")
        }
        if header.version <= newest { try reader.finish("\(header.kind)") }
        return message
    }

    /// The acceptor's decision about a received hello, also about one of a release it cannot fully understand.
    ///
    /// **Throws:** `unexpectedKind` and `invalidValue` for the magic number: the dialer speaks another protocol, and
    /// the connection is closed without an answer.
    package static func answer(
        _ header: FrameHeader, body: RawSpan, by acceptor: Acceptor
    ) throws(WireError) -> Answer {
        guard header.kind == .hello else { throw .unexpectedKind(header.kind, expected: "hello") }
        var reader = ByteReader(body)
        let offered = try reader.helloVersions(body)
        guard offered.overlaps(acceptor.versions) else {
            return .refuse(.versions(offered: offered, held: acceptor.versions))
        }
        let message: Message
        do throws(WireError) {
            message = try parse(header, body: body, newest: acceptor.versions.upperBound)
        } catch {
            return .refuse(.malformed(reason: error.description))
        }
        guard case .hello(let hello) = message else { return .refuse(.malformed(reason: "The frame is no hello.")) }
        return answer(hello, by: acceptor)
    }

    /// The acceptor's decision: the highest common version and the common capabilities, or the first mismatch.
    package static func answer(_ hello: Hello, by acceptor: Acceptor) -> Answer {
        let oldest = max(hello.versions.lowerBound, acceptor.versions.lowerBound)
        let newest = min(hello.versions.upperBound, acceptor.versions.upperBound)
        guard oldest <= newest else {
            return .refuse(.versions(offered: hello.versions, held: acceptor.versions))
        }
        if let refusal = mismatch(hello, acceptor) { return .refuse(refusal) }
        return .welcome(
            Welcome(
                version: newest, capabilities: hello.capabilities.intersection(acceptor.capabilities),
                epoch: acceptor.epoch, place: acceptor.place, frameByteLimit: acceptor.frameByteLimit))
    }

    private static func mismatch(_ hello: Hello, _ acceptor: Acceptor) -> Refusal? {
        if hello.cluster != acceptor.cluster { return .cluster(offered: hello.cluster, held: acceptor.cluster) }
        if hello.placement != acceptor.placement {
            return .placement(offered: hello.placement, held: acceptor.placement)
        }
        if hello.epoch < acceptor.epoch { return .fenced(offered: hello.epoch, held: acceptor.epoch) }
        if hello.epoch > acceptor.epoch { return .epochAhead(offered: hello.epoch, held: acceptor.epoch) }
        if !acceptor.roles.contains(hello.role) { return .role(offered: hello.role, held: acceptor.roles) }
        if hello.receiver.index != acceptor.place.index {
            return .stage(offered: hello.receiver.index, held: acceptor.place.index)
        }
        if hello.receiver.layers != acceptor.place.layers {
            return .layers(offered: hello.receiver.layers, held: acceptor.place.layers)
        }
        let neighbour: StagePlace? =
            switch hello.role {
            case .upstream: acceptor.previous
            case .directReturn: acceptor.last
            case .control: nil
            }
        if hello.sender != neighbour { return .neighbour(offered: hello.sender, held: neighbour) }
        if hello.model != acceptor.model { return .model(offered: hello.model, held: acceptor.model) }
        if hello.width != acceptor.width { return .width(offered: hello.width, held: acceptor.width) }
        if let format = acceptor.format, hello.format != format {
            return .format(offered: hello.format, held: format)
        }
        let common = hello.capabilities.intersection(acceptor.capabilities)
        if !common.isSuperset(of: .needed(for: hello.format)) {
            return .formatUnsupported(offered: hello.format, common: common)
        }
        return nil
    }

    /// Checks that a welcome agrees to what the dialer offered.
    ///
    /// **Throws:** `invalidValue` naming the field in which it does not.
    package static func check(_ welcome: Welcome, against hello: Hello) throws(WireError) {
        guard hello.versions.contains(welcome.version) else {
            throw .invalidValue(
                field: "welcome.version", offset: 0, value: Int(welcome.version),
                allowed: "\(hello.versions.lowerBound) … \(hello.versions.upperBound)")
        }
        guard hello.capabilities.isSuperset(of: welcome.capabilities) else {
            throw .invalidValue(
                field: "welcome.capabilities", offset: 8, value: Int(truncatingIfNeeded: welcome.capabilities.rawValue),
                allowed: "what was offered, \(hello.capabilities)")
        }
        guard welcome.epoch == hello.epoch else {
            throw .invalidValue(
                field: "welcome.epoch", offset: 16, value: Int(truncatingIfNeeded: welcome.epoch.number),
                allowed: "\(hello.epoch)")
        }
        guard welcome.place == hello.receiver else {
            throw .invalidValue(
                field: "welcome.place", offset: 32, value: welcome.place.index, allowed: "\(hello.receiver)")
        }
    }
}
