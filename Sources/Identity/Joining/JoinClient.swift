import Cluster
package import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import SystemPackage

/// What joining brings.
package struct JoinAnswer: Sendable {
    /// Key and certificates of the node.
    package let credentials: NodeCredentials
    /// The cluster's key, for a node that may vote.
    package let authority: ClusterAuthority?
    /// What the node has become.
    package let part: JoinPart
    /// Members to talk to.
    package let peers: [JoinPeer]
}

/// What a joiner says about itself.
package struct Joiner: Sendable {
    /// Who it is.
    package let identity: NodeIdentity
    /// Release and protocols of this program.
    package let versions: JoinVersions
    /// What it would like to become.
    package let part: JoinPart
    /// The name people gave it.
    package let name: String
    /// Where it will be reached.
    package let addresses: [ClusterAddress]

    /// Describes a joiner.
    package init(
        identity: NodeIdentity, versions: JoinVersions, part: JoinPart = .member, name: String = "",
        addresses: [ClusterAddress] = []
    ) {
        self.identity = identity
        self.versions = versions
        self.part = part
        self.name = name
        self.addresses = addresses
    }
}

/// One try with one address.
struct JoinAttempt: Sendable {
    let ticket: JoinTicket
    let address: ClusterAddress
    let joiner: Joiner
    let milliseconds: Int64
    let now: @Sendable () -> WallTime

    var identity: NodeIdentity { joiner.identity }
    var versions: JoinVersions { joiner.versions }

    func request() throws(JoinError) -> JoinRequest {
        do throws(IdentityError) {
            return JoinRequest(
                versions: versions, clock: now(), secret: ticket.secret, node: identity.node,
                signingRequest: try identity.key.signingRequest(for: identity.node), part: joiner.part,
                name: joiner.name, addresses: joiner.addresses, cluster: identity.credentials?.cluster)
        } catch { throw .identity(error) }
    }
}

/// Joins a cluster with a ticket, over TLS.
package struct JoinClient: Sendable {
    private let group: any EventLoopGroup
    private let milliseconds: Int64
    private let now: @Sendable () -> WallTime

    /// Makes a client; `milliseconds` bounds the exchange with one address, connecting not included.
    package init(
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        milliseconds: Int64 = Limits.exchangeMilliseconds, now: @escaping @Sendable () -> WallTime
    ) {
        self.group = group
        self.milliseconds = milliseconds
        self.now = now
    }

    /// Tries the addresses of the ticket in their order until one lets this node in.
    ///
    /// What the cluster decides is final; what only one address suffers from is tried at the next. A node that is in a
    /// cluster may join the same one again, to get a new certificate.
    /// **Throws:** the cluster's refusal, or else the most telling failure.
    package func join(_ ticket: JoinTicket, as joiner: Joiner) async throws(JoinError) -> JoinAnswer {
        if let credentials = joiner.identity.credentials, credentials.authority.fingerprint != ticket.authority {
            throw .identity(.alreadyMember(of: credentials.cluster, node: credentials.node))
        }
        var failures: [JoinError] = []
        for address in ticket.addresses {
            let attempt = JoinAttempt(
                ticket: ticket, address: address, joiner: joiner, milliseconds: milliseconds, now: now)
            switch await carryOut(attempt) {
            case .success(let answer): return answer
            case .failure(.refused(let refusal)) where !refusal.isOfThisNodeOnly: throw .refused(refusal)
            case .failure(let error): failures.append(error)
            }
            if Task.isCancelled { break }
        }
        throw Self.mostTelling(failures)
    }

    /// A refusal says more than a doubt, a doubt more than silence.
    private static func mostTelling(_ failures: [JoinError]) -> JoinError {
        var silent: [String] = []
        var doubt: JoinError?
        for failure in failures {
            switch failure {
            case .refused: return failure
            case .unreachable(let attempts): silent += attempts
            default: doubt = doubt ?? failure
            }
        }
        return doubt ?? .unreachable(silent)
    }

    private func carryOut(_ attempt: JoinAttempt) async -> Result<JoinAnswer, JoinError> {
        let eventLoop = group.next()
        let answers = Answers()
        do {
            let context = try Self.context()
            let channel = try await ClientBootstrap(group: eventLoop)
                .connectTimeout(.milliseconds(min(Limits.connectMilliseconds, milliseconds)))
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let promise = channel.eventLoop.makePromise(of: JoinClientHandler.Answer.self)
                        answers.expect(promise.futureResult, of: channel)
                        do {
                            try Self.configure(channel, JoinClientHandler(attempt: attempt, promise: promise), context)
                        } catch {
                            promise.fail(error)
                            throw error
                        }
                    }
                }
                .connect(host: attempt.address.host, port: attempt.address.port).get()
            let answer = answers.answer(of: channel)
            return try await withTaskCancellationHandler {
                try await answer?.get() ?? .failure(.unreachable(["\(attempt.address): no connection was made"]))
            } onCancel: {
                channel.close(promise: nil)
            }
        } catch {
            return .failure(.unreachable(["\(attempt.address): \(Self.plain(error).prefixed(200))"]))
        }
    }

    /// What the system said, without what the library tells around it.
    private static func plain(_ error: any Error) -> String {
        let cause = (error as? NIOConnectionError)?.connectionErrors.first?.error ?? error
        guard let number = (cause as? IOError)?.errnoCode else { return "\(cause)" }
        return Errno(rawValue: number).description
    }

    private static func configure(
        _ channel: any Channel, _ handler: JoinClientHandler, _ context: NIOSSLContext
    ) throws {
        let tls = try NIOSSLClientHandler(context: context, serverHostname: nil) { $1.succeed(handler.verify($0)) }
        let decoder = ByteToMessageHandler(
            JoinFrameDecoder(), maximumBufferSize: Limits.frameBytes + JoinFrame.headerBytes)
        try channel.pipeline.syncOperations.addHandlers([tls, decoder, handler])
    }

    /// A name may have several addresses, each tried with a channel of its own; the one that wins has our answer.
    private final class Answers: Sendable {
        private let futures = Mutex<[ObjectIdentifier: EventLoopFuture<JoinClientHandler.Answer>]>([:])

        func expect(_ future: EventLoopFuture<JoinClientHandler.Answer>, of channel: any Channel) {
            futures.withLock { $0[ObjectIdentifier(channel)] = future }
        }

        func answer(of channel: any Channel) -> EventLoopFuture<JoinClientHandler.Answer>? {
            futures.withLock { $0[ObjectIdentifier(channel)] }
        }
    }

    private static func context() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv13
        // What the server shows is checked against the ticket and nothing else.
        configuration.trustRoots = .certificates([])
        configuration.certificateVerification = .noHostnameVerification
        configuration.applicationProtocols = [PortProtocol.join.rawValue]
        configuration.shutdownTimeout = .seconds(1)
        return try NIOSSLContext(configuration: configuration)
    }
}
