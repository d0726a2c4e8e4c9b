import Vocabulary

/// Bounds of identity and joining: every file, frame, table and wait has its number here.
package enum Limits {
    /// Largest certificate that is parsed. **Units:** bytes of DER.
    package static let certificateBytes = 4096
    /// Largest certificate signing request that is parsed. **Units:** bytes of DER.
    package static let signingRequestBytes = 2048
    /// Certificates in a chain: a node's and its authority's. One more is read, to be able to say that it is too many.
    package static let chainCertificates = 2
    /// Largest private key that is parsed. **Units:** bytes of DER.
    package static let privateKeyBytes = 1024
    /// Identities of clusters that were left and are kept; beyond it the last one is replaced.
    package static let leftIdentities = 5
    /// Largest file of the identity folder. **Units:** bytes.
    package static let fileBytes = 16 << 10

    /// How long a node's certificate is valid.
    package static let nodeValidity: Duration = .seconds(30 * 86_400)
    /// How long the authority's certificate is valid: ten years.
    package static let authorityValidity: Duration = .seconds(3650 * 86_400)
    /// How far two clocks may differ; certificates begin this much in the past.
    package static let clockSkew: Duration = .seconds(3600)

    /// Longest join ticket. **Units:** bytes.
    package static let ticketBytes = 1024
    /// Addresses in a ticket.
    package static let ticketAddresses = 8
    /// Longest host name or address. **Units:** bytes.
    package static let hostBytes = 253
    /// Size of a join secret. **Units:** bytes.
    package static let secretBytes = 32

    /// Join tokens a cluster keeps, those that are spent, expired or revoked included.
    package static let tokenCount = 64
    /// Shortest life of a token.
    package static let tokenLifeMinimum: Duration = .seconds(60)
    /// Longest life of a token: thirty days.
    package static let tokenLifeMaximum: Duration = .seconds(30 * 86_400)
    /// Uses of one token.
    package static let tokenUses = 1000
    /// Keys a token remembers, so that a joiner who lost the answer may ask again.
    package static let tokenKeys = 16
    /// How long a token that cannot be used any more is kept, to say why.
    package static let tokenMemory: Duration = .seconds(7 * 86_400)

    /// Largest frame of the join exchange. **Units:** bytes, without its header.
    package static let frameBytes = 16 << 10
    /// Fields of one frame.
    package static let frameFields = 128
    /// Longest text in a frame. **Units:** bytes of UTF-8.
    package static let textBytes = 512
    /// Addresses a joiner names.
    package static let joinerAddresses = 16
    /// Members the answer of a join names.
    package static let peerCount = 32

    /// Connections at once that have not shown who they are.
    package static let unauthenticatedConnections = 64
    /// Of these, how many may come from one address.
    package static let connectionsPerAddress = 16
    /// Connections of one address within a minute that never showed who they are.
    package static let attemptsPerMinute = 60
    /// Addresses remembered to count these.
    package static let addressCount = 1024
    /// How long a connection may take to show who it is, or to join. **Units:** milliseconds.
    package static let exchangeMilliseconds: Int64 = 10_000
    /// How long connecting to one address of a ticket may take. **Units:** milliseconds.
    package static let connectMilliseconds: Int64 = 3000
    /// Connections waiting to be accepted.
    package static let backlog: Int32 = 128
    /// Links of one door whose peers have shown who they are.
    package static let openLinks = 4096
    /// Nodes watched for clones.
    package static let watchedNodes = 4096
    /// Superseded sessions remembered of one node.
    package static let watchedSessions = 8
}
