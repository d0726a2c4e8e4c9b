import Cluster
import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A round of tries, one address after the other.
final class DialRound {
    var addresses: ArraySlice<PeerAddress>
    /// Whom the addresses belong to; nil when anybody may answer.
    let expected: NodeID?
    /// Whether every try so far ended with "nobody listens".
    var isDeserted = true
    var lastClosure = FabricClosure.closedByPeer
    /// The try under way.
    var connection: ControlConnection?
    let done: (DialRound, Result<NodeID, FabricClosure>) -> Void

    init(
        _ addresses: [PeerAddress], expected: NodeID?,
        done: @escaping (DialRound, Result<NodeID, FabricClosure>) -> Void
    ) {
        self.addresses = addresses[...]
        self.expected = expected
        self.done = done
    }
}

extension Switchboard {
    /// Connects to a member, unless that is under way.
    func dial(_ line: PeerLine) {
        guard isActive, line.connection == nil, !line.isDialling, line.retry == nil else { return }
        let addresses = PeerAddress.ranked(
            line.addresses + line.sighted.map(\.description), worked: line.worked, measured: line.measured)
        guard !addresses.isEmpty else { return line.queue.clear() }
        line.isDialling = true
        tryNext(
            DialRound(addresses, expected: line.node) { [unowned self] round, result in
                line.isDialling = false
                switch result {
                case .success: break
                case .failure: gaveUp(line, round)
                }
            })
    }

    private func gaveUp(_ line: PeerLine, _ round: DialRound) {
        guard line.connection == nil else { return }
        line.failures += 1
        if line.isInDoubt, round.isDeserted {
            line.isInDoubt = false
            tell(.ended(line.node))
        } else if line.failures >= FabricLimits.knocks {
            line.isInDoubt = false
        }
        // A process that is ending may still take a connection and drop it: the next try is clear.
        line.queue.clear()
        later(line)
    }

    /// Tries again after a while, on its own where a connection is kept, else when there is something to say.
    func later(_ line: PeerLine) {
        let wait = backoff(line.failures)
        line.notBefore = .now() + wait
        guard isActive, line.isMember, isEager(line.node) || line.isInDoubt, line.retry == nil else { return }
        line.retry = after(wait) { [unowned self] in
            line.retry = nil
            dial(line)
        }
    }

    /// Connects to an address, unless that is under way or whoever answered there is connected.
    func dial(_ seed: SeedLine) {
        guard isActive, !seed.isDialling, seed.retry == nil else { return }
        if let node = seed.node, lines[node]?.connection != nil { return }
        seed.isDialling = true
        tryNext(
            DialRound([seed.address], expected: nil) { [unowned self] _, result in
                seed.isDialling = false
                switch result {
                case .success(let node):
                    seed.node = node
                    seed.failures = 0
                case .failure(.refused(let refusal)) where refusal.code == .itself:
                    seeds.removeAll { $0 === seed }
                case .failure(let closure):
                    if case .refusedHere(let refusal) = closure, refusal.code == .itself {
                        seeds.removeAll { $0 === seed }
                        return
                    }
                    seed.failures += 1
                    guard isActive else { return }
                    seed.retry = after(backoff(seed.failures)) { [unowned self] in
                        seed.retry = nil
                        dial(seed)
                    }
                }
            })
    }

    private func tryNext(_ round: DialRound) {
        guard isActive, let address = round.addresses.popFirst() else {
            return round.done(round, .failure(round.lastClosure))
        }
        let connection = ControlConnection(
            board: self, rules: .init(), address: address.description, call: nextCall())
        round.connection = connection
        dialling[ObjectIdentifier(connection)] = round
        let attempt = NIOLoopBound((board: self, connection: connection), eventLoop: loop)
        // Handlers come once connected: for a name with several addresses more than one channel may be tried.
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(settings.timings.connect)
            .channelOption(.autoRead, value: false)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
        let connected =
            if let socket = try? SocketAddress(ipAddress: address.host, port: address.port) {
                bootstrap.connect(to: socket)
            } else {
                bootstrap.connect(host: address.host, port: address.port)
            }
        connected.whenComplete { result in
            let (board, connection) = attempt.value
            do {
                let channel = try result.get()
                do {
                    try board.begin(connection, on: channel)
                } catch {
                    channel.close(promise: nil)
                    throw error
                }
            } catch {
                board.failed(connection, Self.closure(error, address))
            }
        }
    }

    private func begin(_ connection: ControlConnection, on channel: any Channel) throws {
        guard isActive else { throw FabricClosure.closedHere }
        if let security = settings.security {
            let attempt = NIOLoopBound((board: self, connection: connection), eventLoop: loop)
            let expected = dialling[ObjectIdentifier(connection)]?.expected
            try security.dial(channel, expected) { finding in
                let (board, connection) = attempt.value
                board.failed(connection, .unproven(reason: finding))
            } _: { channel, node in
                channel.eventLoop.makeCompletedFuture {
                    let (board, connection) = attempt.value
                    guard board.isActive else { throw FabricClosure.closedHere }
                    try board.configure(channel, connection, proven: node)
                }
            }
        } else {
            try configure(channel, connection, proven: nil)
        }
        try channel.syncOptions?.setOption(.autoRead, value: true)
        channel.read()
    }

    /// A try came to an end; nothing happens for connections that were accepted.
    func dialled(_ connection: ControlConnection, _ result: Result<NodeID, FabricClosure>) {
        guard let round = dialling.removeValue(forKey: ObjectIdentifier(connection)) else { return }
        round.connection = nil
        switch result {
        case .success(let node):
            if round.expected == nil || round.expected == node {
                lines[node]?.worked = PeerAddress(connection.address)
                return round.done(round, result)
            }
            round.isDeserted = false
            round.lastClosure = .unproven(reason: "node \(node) answers at \(connection.address)")
        case .failure(let closure):
            if case .nobodyListens = closure {} else { round.isDeserted = false }
            round.lastClosure = closure
            if case .refused(let refusal) = closure, refusal.code == .duplicate,
                let node = connection.peer?.node
                    ?? round.expected, lines[node]?.connection != nil
            {
                return round.done(round, .success(node))
            }
        }
        tryNext(round)
    }

    private static func closure(_ error: any Error, _ address: PeerAddress) -> FabricClosure {
        switch error {
        case let error as IOError where error.errnoCode == ECONNREFUSED:
            return .nobodyListens(address: "\(address)")
        case let error as NIOConnectionError:
            let codes = error.connectionErrors.map { ($0.error as? IOError)?.errnoCode }
            if !codes.isEmpty, codes.allSatisfy({ $0 == ECONNREFUSED }) {
                return .nobodyListens(address: "\(address)")
            }
            return .failed(reason: "\(address): \(error)")
        case let error as FabricClosure: return error
        default: return .failed(reason: "\(address): \(error)")
        }
    }
}
