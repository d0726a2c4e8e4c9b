import Cluster

extension JoinRefusal {
    private enum Code: UInt64 {
        case unknownToken = 1
        case expired = 2
        case usedUp = 3
        case revoked = 4
        case wrongCluster = 5
        case unsupportedVersion = 6
        case clockOff = 7
        case nodeRemoved = 8
        case identityTaken = 9
        case malformed = 10
        case cannotIssue = 11
        case busy = 12
        case unavailable = 13
    }

    /// The number of a known reason; nil for one that is passed on with its own.
    private var known: Code? {
        switch self {
        case .unknownToken: .unknownToken
        case .expired: .expired
        case .usedUp: .usedUp
        case .revoked: .revoked
        case .wrongCluster: .wrongCluster
        case .unsupportedVersion: .unsupportedVersion
        case .clockOff: .clockOff
        case .nodeRemoved: .nodeRemoved
        case .identityTaken: .identityTaken
        case .malformed: .malformed
        case .cannotIssue: .cannotIssue
        case .busy: .busy
        case .unavailable: .unavailable
        case .other: nil
        }
    }

    private var code: UInt64 {
        if case .other(let code, _) = self { return UInt64(max(0, code)) }
        return known?.rawValue ?? 0
    }

    /// Code, numbers and texts, and the sentence for joiners that do not know the code.
    var frame: JoinFrame {
        var frame = JoinFrame(.refused)
        frame.put(.code, code)
        switch self {
        case .expired(let time): frame.put(.first, time)
        case .usedUp(let uses): frame.put(.first, UInt64(max(0, uses)))
        case .wrongCluster(let expected, let presented):
            frame.put(.first, expected.value)
            frame.put(.second, presented.value)
        case .unsupportedVersion(let joiner, let cluster):
            frame.put(joiner)
            var other = JoinFrame(.refused)
            other.put(cluster)
            frame.put(.otherVersions, other.bytes)
        case .clockOff(let joiner, let cluster):
            frame.put(.first, joiner)
            frame.put(.second, cluster)
        case .nodeRemoved(let node), .identityTaken(let node): frame.put(.first, node.value)
        case .busy(let seconds): frame.put(.first, UInt64(max(0, seconds)))
        case .unknownToken, .cannotIssue, .revoked, .malformed, .unavailable, .other: break
        }
        switch self {
        case .revoked(let id): frame.put(.text, id.description)
        case .malformed(let text), .unavailable(let text), .other(_, let text): frame.put(.text, text)
        default: frame.put(.text, description)
        }
        return frame
    }

    init(_ frame: JoinFrame) throws(JoinFrameError) {
        let number = try frame.number(.code)
        let text = try frame.text(.text)
        switch Code(rawValue: number) {
        case nil: self = .other(code: Int(clamping: number), text)
        case .unknownToken: self = .unknownToken
        case .cannotIssue: self = .cannotIssue
        case .malformed: self = .malformed(text)
        case .unavailable: self = .unavailable(text)
        case .expired: self = .expired(at: try frame.time(.first))
        case .clockOff: self = .clockOff(joiner: try frame.time(.first), cluster: try frame.time(.second))
        case .usedUp: self = .usedUp(uses: Int(clamping: try frame.number(.first)))
        case .busy: self = .busy(retrySeconds: Int(clamping: try frame.number(.first)))
        case .nodeRemoved: self = .nodeRemoved(NodeID(try frame.number(.first)))
        case .identityTaken: self = .identityTaken(NodeID(try frame.number(.first)))
        case .revoked:
            guard let id = JoinTokenID(text) else { throw JoinFrameError("it names no token") }
            self = .revoked(id)
        case .wrongCluster:
            guard let expected = ClusterID(try frame.number(.first)), let own = ClusterID(try frame.number(.second))
            else { throw JoinFrameError("it names no cluster") }
            self = .wrongCluster(expected: expected, presented: own)
        case .unsupportedVersion:
            let other = try JoinFrame(bytes: try frame.bytes(.otherVersions, limit: Limits.textBytes))
            self = .unsupportedVersion(joiner: try frame.versions(), cluster: try other.versions())
        }
    }
}
