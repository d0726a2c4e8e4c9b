import NIOCore
import Transport
import Vocabulary
import Wire

/// The links of one runner and the handshake on each, as a value the runner's driver owns.
struct LinkTable {
    /// What a frame on a link means for the driver.
    enum Event {
        /// The handshake goes on, or the link was refused: nothing to do.
        case nothing
        /// A peer opened a link of this role.
        case accepted(LinkRole)
        /// A link this runner dialled is open.
        case opened(LinkRole)
        /// A frame of an established link.
        case frame(LinkRole, InboundFrame)
        /// The peer refused the link this runner dialled.
        case refused(LinkRole, reason: String)
    }

    private enum State {
        case awaitingWelcome(Hello)
        case established(LinkRole)
    }

    private let identity: RunnerIdentity
    private var states: [ObjectIdentifier: State] = [:]

    init(_ identity: RunnerIdentity) { self.identity = identity }

    /// Sends the hello on a link this runner dialled.
    mutating func dialled(_ link: FrameLink, role: LinkRole, to index: Int) throws(WireError) {
        let hello = identity.hello(role: role, to: index)
        var writer = FrameWriter(version: Handshake.versions.upperBound)
        try writer.hello(hello)
        states[ObjectIdentifier(link)] = .awaitingWelcome(hello)
        link.send(&writer)
    }

    /// Takes a frame. **Throws:** what a broken peer can have wrong; the caller closes the link.
    mutating func received(_ frame: InboundFrame, on link: FrameLink) throws(WireError) -> Event {
        switch states[ObjectIdentifier(link)] {
        case .established(let role): return .frame(role, frame)
        case .awaitingWelcome(let hello): return try finish(hello, frame, link)
        case nil: return try answer(frame, link)
        }
    }

    /// Forgets a link; answers its role when it was established.
    mutating func closed(_ link: FrameLink) -> LinkRole? {
        switch states.removeValue(forKey: ObjectIdentifier(link)) {
        case .established(let role): role
        case .awaitingWelcome(let hello): hello.role
        case nil: nil
        }
    }

    private mutating func finish(
        _ hello: Hello, _ frame: InboundFrame, _ link: FrameLink
    ) throws(WireError) -> Event {
        switch try Handshake.parse(frame.header, body: frame.body.readableBytesSpan) {
        case .welcome(let welcome):
            try Handshake.check(welcome, against: hello)
            link.establish(.established(version: welcome.version, frameByteLimit: hello.frameByteLimit))
            states[ObjectIdentifier(link)] = .established(hello.role)
            return .opened(hello.role)
        case .refuse(let refusal):
            link.close()
            return .refused(hello.role, reason: "\(refusal)")
        case .hello:
            throw .unexpectedKind(.hello, expected: "welcome or refuse")
        }
    }

    private mutating func answer(_ frame: InboundFrame, _ link: FrameLink) throws(WireError) -> Event {
        var writer = FrameWriter(version: Handshake.versions.upperBound)
        switch try Handshake.answer(frame.header, body: frame.body.readableBytesSpan, by: identity.acceptor) {
        case .welcome(let welcome):
            guard case .hello(let hello) = try Handshake.parse(frame.header, body: frame.body.readableBytesSpan) else {
                throw .unexpectedKind(frame.header.kind, expected: "hello")
            }
            try writer.welcome(welcome)
            link.send(&writer)
            link.establish(.established(version: welcome.version, frameByteLimit: welcome.frameByteLimit))
            states[ObjectIdentifier(link)] = .established(hello.role)
            return .accepted(hello.role)
        case .refuse(let refusal):
            try writer.refuse(refusal)
            link.send(&writer)
            link.close()
            return .nothing
        }
    }
}

/// Who a runner is in its placement, for handshakes.
struct RunnerIdentity: Sendable {
    let configuration: RunnerConfiguration
    let digest: ModelDigest
    let format: WireFormat
    let width: Int

    /// **Throws:** a sentence when the configuration names an unknown wire format or a malformed digest.
    init(_ configuration: RunnerConfiguration, width: Int) throws(RunnerError) {
        guard let format = WireFormat.allCases.first(where: { $0.description == configuration.wire }) else {
            throw .badConfiguration(
                field: "wire", value: configuration.wire,
                allowed: WireFormat.allCases.map(\.description).joined(separator: ", "))
        }
        guard let digest = ModelDigest(hexadecimal: configuration.modelDigest) else {
            throw .badConfiguration(
                field: "modelDigest", value: configuration.modelDigest, allowed: "64 hexadecimal digits")
        }
        self.configuration = configuration
        self.digest = digest
        self.format = format
        self.width = width
    }

    func place(_ index: Int) -> StagePlace { StagePlace(index: index, layers: configuration.stages[index]) }

    var acceptor: Acceptor {
        let index = configuration.stageIndex
        let isAlone = configuration.stages.count == 1
        return Acceptor(
            cluster: configuration.cluster, placement: configuration.placement, epoch: configuration.epoch,
            place: place(index), previous: index == 0 ? nil : place(index - 1),
            last: place(configuration.stages.count - 1), model: digest, width: width, format: format,
            roles: index == 0 ? (isAlone ? [.control] : [.directReturn, .control]) : [.upstream])
    }

    func hello(role: LinkRole, to index: Int) -> Hello {
        Hello(
            cluster: configuration.cluster, placement: configuration.placement, epoch: configuration.epoch, role: role,
            sender: place(configuration.stageIndex), receiver: place(index), model: digest, width: width,
            format: format)
    }
}
