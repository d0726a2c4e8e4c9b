package import Cluster
import Vocabulary

/// What the cluster's side says first, before it is told anything.
struct JoinHello: Hashable, Sendable {
    let versions: JoinVersions
    let clock: WallTime
    let cluster: ClusterID

    var frame: JoinFrame {
        var frame = JoinFrame(.hello)
        frame.put(versions)
        frame.put(.clock, clock)
        frame.put(.cluster, cluster.value)
        return frame
    }

    init(versions: JoinVersions, clock: WallTime, cluster: ClusterID) {
        self.versions = versions
        self.clock = clock
        self.cluster = cluster
    }

    init(_ frame: JoinFrame) throws(JoinFrameError) {
        guard frame.kind == .hello else { throw JoinFrameError("\(frame.kind) came instead of hello") }
        versions = try frame.versions()
        clock = try frame.time(.clock)
        guard let cluster = ClusterID(try frame.number(.cluster)) else { throw JoinFrameError("it names no cluster") }
        self.cluster = cluster
    }
}

/// What a joiner asks.
package struct JoinRequest: Hashable, Sendable {
    /// Release and protocols of the joiner.
    package let versions: JoinVersions
    /// What the joiner's clock shows.
    package let clock: WallTime
    /// The secret of its ticket.
    package let secret: JoinSecret
    /// Who it is.
    package let node: NodeID
    /// A signing request for its key.
    package let signingRequest: [UInt8]
    /// What it would like to become.
    package let part: JoinPart
    /// The name people gave it.
    package let name: String
    /// Where it will be reached.
    package let addresses: [ClusterAddress]
    /// The cluster it says it belongs to; nil when to none.
    package let cluster: ClusterID?

    /// Makes a request; more addresses than may be sent are left out.
    package init(
        versions: JoinVersions, clock: WallTime, secret: JoinSecret, node: NodeID, signingRequest: [UInt8],
        part: JoinPart = .member, name: String = "", addresses: [ClusterAddress] = [], cluster: ClusterID? = nil
    ) {
        self.versions = versions
        self.clock = clock
        self.secret = secret
        self.node = node
        self.signingRequest = signingRequest
        self.part = part
        self.name = name
        self.addresses = Array(addresses.prefix(Limits.joinerAddresses))
        self.cluster = cluster
    }

    /// The request as bytes, for a node that passes it on to the leader over an authenticated connection.
    package var bytes: [UInt8] { frame.bytes }

    /// Reads a request that was passed on; nil when it is malformed.
    package init?(bytes: [UInt8]) {
        guard let frame = try? JoinFrame(bytes: bytes), let request = try? JoinRequest(frame) else { return nil }
        self = request
    }

    var frame: JoinFrame {
        var frame = JoinFrame(.request)
        frame.put(versions)
        frame.put(.clock, clock)
        if let cluster { frame.put(.cluster, cluster.value) }
        frame.put(.secret, secret.bytes)
        frame.put(.node, node.value)
        frame.put(.signingRequest, signingRequest)
        frame.put(.part, UInt64(part.rawValue))
        frame.put(.name, name)
        for address in addresses { frame.put(.address, address.description) }
        return frame
    }

    init(_ frame: JoinFrame) throws(JoinFrameError) {
        guard frame.kind == .request else { throw JoinFrameError("\(frame.kind) came instead of request") }
        versions = try frame.versions()
        clock = try frame.time(.clock)
        guard let secret = JoinSecret(bytes: try frame.bytes(.secret, limit: Limits.secretBytes)) else {
            throw JoinFrameError("the secret has not \(Limits.secretBytes) bytes")
        }
        self.secret = secret
        node = NodeID(try frame.number(.node))
        signingRequest = try frame.bytes(.signingRequest, limit: Limits.signingRequestBytes)
        // A part of a later version must not be more than this version can judge.
        part = UInt8(exactly: try frame.number(.part)).flatMap(JoinPart.init(rawValue:)) ?? .worker
        name = try frame.text(.name)
        addresses = try Self.addresses(try frame.texts(.address, limit: Limits.joinerAddresses))
        cluster = ClusterID(try frame.optionalNumber(.cluster) ?? 0)
    }

    static func addresses(_ texts: [String]) throws(JoinFrameError) -> [ClusterAddress] {
        var addresses: [ClusterAddress] = []
        for text in texts {
            do { addresses.append(try ClusterAddress(text)) } catch { throw JoinFrameError("an address is malformed") }
        }
        return addresses
    }
}

/// A member the joiner can talk to.
package struct JoinPeer: Hashable, Sendable {
    /// The member.
    package let node: NodeID
    /// Where it is reached.
    package let addresses: [ClusterAddress]

    /// Makes a peer; more addresses than may be sent are left out.
    package init(node: NodeID, addresses: [ClusterAddress]) {
        self.node = node
        self.addresses = Array(addresses.prefix(Limits.ticketAddresses))
    }

    /// `NODE ADDRESS,ADDRESS`, with as many addresses as fit a field.
    var text: String {
        var text = "\(node) "
        for (index, address) in addresses.enumerated() {
            let next = (index == 0 ? "" : ",") + address.description
            if text.utf8.count + next.utf8.count > Limits.textBytes { break }
            text += next
        }
        return text
    }

    init(text: String) throws(JoinFrameError) {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 2, let node = Hexadecimal.number(parts[0]) else {
            throw JoinFrameError("a member is malformed")
        }
        let list = parts[1].split(separator: ",").map(String.init)
        guard list.count <= Limits.ticketAddresses else { throw JoinFrameError("a member has too many addresses") }
        self.node = NodeID(node)
        addresses = try JoinRequest.addresses(list)
    }
}

/// What a joiner gets.
package struct JoinGrant: Hashable, Sendable {
    /// Its certificate, in DER.
    package let certificate: [UInt8]
    /// What it becomes; may be less than it asked for.
    package let part: JoinPart
    /// The cluster's private key, for those that may vote.
    package let authorityKey: [UInt8]?
    /// Members to talk to.
    package let peers: [JoinPeer]

    /// Makes a grant; more peers than may be sent are left out.
    package init(certificate: [UInt8], part: JoinPart, authorityKey: [UInt8]?, peers: [JoinPeer]) {
        self.certificate = certificate
        self.part = part
        self.authorityKey = authorityKey
        self.peers = Array(peers.prefix(Limits.peerCount))
    }
}

/// How a request to join ends.
package enum JoinDecision: Hashable, Sendable {
    /// The joiner is let in.
    case granted(JoinGrant)
    /// It is not.
    case refused(JoinRefusal)

    /// The decision as bytes, for a leader that answers through another node over an authenticated connection.
    package var bytes: [UInt8] { frame.bytes }

    /// Reads a decision that was passed on; nil when it is malformed.
    package init?(bytes: [UInt8]) {
        guard let frame = try? JoinFrame(bytes: bytes), let decision = try? JoinDecision(frame) else { return nil }
        self = decision
    }

    var frame: JoinFrame {
        switch self {
        case .refused(let refusal): return refusal.frame
        case .granted(let grant):
            var frame = JoinFrame(.accepted)
            frame.put(.certificate, grant.certificate)
            frame.put(.part, UInt64(grant.part.rawValue))
            if let key = grant.authorityKey { frame.put(.authorityKey, key) }
            var room = Limits.frameBytes - frame.bytes.count
            for peer in grant.peers {
                room -= peer.text.utf8.count + 3
                guard room >= 0 else { break }
                frame.put(.peer, peer.text)
            }
            return frame
        }
    }

    init(_ frame: JoinFrame) throws(JoinFrameError) {
        switch frame.kind {
        case .refused: self = .refused(try JoinRefusal(frame))
        case .accepted:
            var peers: [JoinPeer] = []
            for text in try frame.texts(.peer, limit: Limits.peerCount) { peers.append(try JoinPeer(text: text)) }
            self = .granted(
                JoinGrant(
                    certificate: try frame.bytes(.certificate, limit: Limits.certificateBytes),
                    part: UInt8(exactly: try frame.number(.part)).flatMap(JoinPart.init(rawValue:)) ?? .worker,
                    authorityKey: try frame.optionalBytes(.authorityKey, limit: Limits.privateKeyBytes), peers: peers))
        case .hello, .request: throw JoinFrameError("\(frame.kind) came instead of an answer")
        }
    }
}
