import Cluster
import NIOCore
import NIOSSL
import NIOTLS

/// The joiner's side of one exchange with one address.
///
/// The secret leaves this machine only when the other side has shown the certificate whose hash is in the ticket,
/// proved that it may speak for it, and said hello with a clock like ours.
final class JoinClientHandler: ChannelInboundHandler {
    typealias InboundIn = JoinFrame
    typealias OutboundOut = ByteBuffer
    typealias Answer = Result<JoinAnswer, JoinError>

    private enum State {
        case handshaking
        case awaitingHello
        case awaitingAnswer
        case over
    }

    private let attempt: JoinAttempt
    private let promise: EventLoopPromise<Answer>
    private var state = State.handshaking
    private var authority: AuthorityCertificate?
    /// The server's certificate is sound but for its time, which is judged when its clock is known.
    private var lateRefusal: CertificateRefusal?
    private var failure: JoinError?
    private var alarm: Scheduled<Void>?
    private var context: ChannelHandlerContext?

    init(attempt: JoinAttempt, promise: EventLoopPromise<Answer>) {
        self.attempt = attempt
        self.promise = promise
    }

    /// Checks what the server presents, before a byte of ours is sent.
    func verify(_ certificates: [NIOSSLCertificate]) -> NIOSSLVerificationResult {
        do throws(JoinError) {
            try judge(certificates)
            return .certificateVerified
        } catch {
            failure = error
            return .failed
        }
    }

    private func judge(_ certificates: [NIOSSLCertificate]) throws(JoinError) {
        let chain = certificates.prefix(Limits.chainCertificates + 1).compactMap { try? $0.toDERBytes() }
        let expected = attempt.ticket.authority
        let presented = chain.last.map { Fingerprint(of: $0) }
        guard let presented, let last = chain.last, presented.equalsInConstantTime(expected) else {
            throw .otherAuthority(address: attempt.address, expected: expected, presented: presented)
        }
        do throws(CertificateRefusal) {
            let authority = try AuthorityCertificate(der: last)
            self.authority = authority
            do throws(CertificateRefusal) {
                _ = try authority.check(chain.count == 1 ? [] : chain, now: attempt.now())
            } catch {
                switch error {
                case .expired, .notYetValid: lateRefusal = error
                default: throw error
                }
                // Every other rule still has to hold.
                _ = try NodeCertificate(der: chain[0], issuedBy: authority)
            }
        } catch { throw .untrusted(address: attempt.address, error) }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        alarm = context.eventLoop.scheduleTask(in: .milliseconds(attempt.milliseconds)) {
            bound.value.timeOut()
        }
    }

    private func timeOut() { finish(.timedOut(address: attempt.address, milliseconds: attempt.milliseconds)) }

    func handlerRemoved(context: ChannelHandlerContext) {
        finish(closed)
        self.context = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted(let negotiated)? = event as? TLSUserEvent {
            if negotiated == PortProtocol.join.rawValue, authority != nil {
                state = .awaitingHello
            } else {
                violation("it does not offer \(PortProtocol.join.rawValue)")
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        do {
            switch state {
            case .awaitingHello:
                // A server that has no room says so instead of hello.
                if frame.kind == .refused { throw JoinError.refused(try JoinRefusal(frame)) }
                try greet(try JoinHello(frame))
                let request = try attempt.request()
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: request.frame.bytes)), promise: nil)
                state = .awaitingAnswer
            case .awaitingAnswer:
                switch try JoinDecision(frame) {
                case .refused(let refusal): throw JoinError.refused(refusal)
                case .granted(let grant): try succeed(grant)
                }
            case .handshaking, .over: break
            }
        } catch let error as JoinError { finish(error) } catch { violation("\(error)") }
    }

    /// Judges versions and clocks.
    private func greet(_ hello: JoinHello) throws {
        let now = attempt.now()
        guard attempt.versions.common(with: hello.versions) != nil else {
            throw JoinError.refused(.unsupportedVersion(joiner: attempt.versions, cluster: hello.versions))
        }
        guard now.agrees(with: hello.clock) else {
            throw JoinError.refused(.clockOff(joiner: now, cluster: hello.clock))
        }
        if let lateRefusal { throw JoinError.untrusted(address: attempt.address, lateRefusal) }
        guard hello.cluster == authority?.cluster else { throw JoinFrameError("it speaks for another cluster") }
    }

    /// Believes an answer only when it fits this node's key and the ticket's cluster.
    private func succeed(_ grant: JoinGrant) throws {
        guard let authority else { return }
        let certificate = try NodeCertificate(der: grant.certificate, issuedBy: authority)
        guard certificate.identity.node == attempt.identity.node else {
            throw JoinFrameError("the certificate names node \(certificate.identity.node)")
        }
        let credentials = try NodeCredentials(key: attempt.identity.key, certificate: certificate, authority: authority)
        let issuer = try grant.authorityKey.map { try ClusterAuthority(certificate: authority, keyDER: $0) }
        complete(
            .success(JoinAnswer(credentials: credentials, authority: issuer, part: grant.part, peers: grant.peers)))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let failure {
            finish(failure)
        } else if error is NIOSSLError, state != .handshaking {
            // The server closed without a farewell of TLS; what it said before counts.
            finish(closed)
        } else {
            violation("\(error)".prefixed(200))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(closed)
        context.fireChannelInactive()
    }

    private var closed: JoinError {
        failure ?? .unreachable(["\(attempt.address): it closed the connection"])
    }

    private func violation(_ finding: String) {
        finish(failure ?? .violation(address: attempt.address, finding: finding))
    }

    private func finish(_ error: JoinError) { complete(.failure(error)) }

    private func complete(_ answer: Answer) {
        guard state != .over else { return }
        state = .over
        alarm?.cancel()
        promise.succeed(answer)
        context?.close(promise: nil)
    }
}
