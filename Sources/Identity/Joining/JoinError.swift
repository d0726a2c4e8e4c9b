/// Why a machine did not join. Each case has its sentence and its exit code.
package enum JoinError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The ticket is malformed.
    case ticket(JoinTicketError)
    /// This machine's identity cannot be used.
    case identity(IdentityError)
    /// No address answered.
    case unreachable([String])
    /// Somebody else than the ticket's cluster answered; the secret was not sent.
    case otherAuthority(address: ClusterAddress, expected: Fingerprint, presented: Fingerprint?)
    /// The right cluster's certificate, but not in order; the secret was not sent.
    case untrusted(address: ClusterAddress, CertificateRefusal)
    /// The exchange took too long.
    case timedOut(address: ClusterAddress, milliseconds: Int64)
    /// The other side does not keep to the protocol.
    case violation(address: ClusterAddress, finding: String)
    /// The cluster refused.
    case refused(JoinRefusal)

    /// One sentence with the next step.
    package var description: String {
        switch self {
        case .ticket(let error): error.description
        case .identity(let error): error.description
        case .unreachable(let attempts):
            "No address of the join ticket answered: \(attempts.joined(separator: "; ")); check that the "
                + "cluster runs and "
                + "that its port is open from here."
        case .otherAuthority(let address, let expected, let presented):
            "\(address) is not the cluster of the ticket: its certificate is \(presented?.short ?? "missing"), "
                + "the ticket "
                + "asks for \(expected.short); the secret was not sent; make a new ticket with skein token create."
        case .untrusted(let address, let refusal):
            "\(address) was not trusted and the secret not sent: \(refusal)"
        case .timedOut(let address, let milliseconds):
            "\(address) did not finish within \(milliseconds) ms; check the network and try again."
        case .violation(let address, let finding):
            "\(address) does not keep to the join protocol: \(finding); install the cluster's version."
        case .refused(let refusal): refusal.description
        }
    }

    /// What the process that tried to join ends with; every kind of failure has its own.
    package var exitCode: JoinExitCode {
        switch self {
        case .ticket: .malformedTicket
        case .identity(.alreadyMember): .alreadyMember
        case .identity(.inUse): .identityInUse
        case .identity: .identityDamaged
        case .unreachable: .unreachable
        case .otherAuthority: .otherAuthority
        case .untrusted: .untrusted
        case .timedOut: .timedOut
        case .violation: .violation
        case .refused(let refusal): refusal.exitCode
        }
    }
}

/// Exit codes of `skein join`; scripts rely on them, so a number is never used again for something else.
package enum JoinExitCode: Int32, Hashable, Sendable, CaseIterable {
    /// The ticket is malformed.
    case malformedTicket = 20
    /// No address answered.
    case unreachable = 21
    /// Another cluster, or somebody in its place, answered.
    case otherAuthority = 22
    /// The answering node's certificate is not in order.
    case untrusted = 23
    /// The exchange took too long.
    case timedOut = 24
    /// The other side does not keep to the protocol.
    case violation = 25
    /// The cluster does not know the token.
    case unknownToken = 26
    /// The token expired.
    case expired = 27
    /// The token is used up.
    case usedUp = 28
    /// The token was revoked.
    case revoked = 29
    /// The machine belongs to another cluster.
    case wrongCluster = 30
    /// The versions do not fit.
    case unsupportedVersion = 31
    /// The clocks are too far apart.
    case clockOff = 32
    /// The node was removed.
    case nodeRemoved = 33
    /// The identity is a copy.
    case identityTaken = 34
    /// The cluster could not read the request.
    case malformedRequest = 35
    /// The answering node cannot issue certificates.
    case cannotIssue = 36
    /// The cluster is busy.
    case busy = 37
    /// The cluster cannot decide now.
    case unavailable = 38
    /// A reason of a later version.
    case otherRefusal = 39
    /// The machine is in a cluster already.
    case alreadyMember = 40
    /// Another process uses the data directory.
    case identityInUse = 41
    /// The identity's files cannot be used.
    case identityDamaged = 42
}

extension JoinRefusal {
    /// The exit code of this refusal.
    package var exitCode: JoinExitCode {
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
        case .malformed: .malformedRequest
        case .cannotIssue: .cannotIssue
        case .busy: .busy
        case .unavailable: .unavailable
        case .other: .otherRefusal
        }
    }
}
