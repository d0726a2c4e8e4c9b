/// Bounds of the control plane: every table, queue, message and retry has its number here.
package enum Limits {
    /// Most members a cluster can have.
    package static let memberCount = 4096
    /// Most voters; larger clusters have more learners, not more voters.
    package static let voterCount = 7
    /// Tombstones of removed members and deployments each; the oldest are forgotten first.
    package static let tombstoneCount = 1024
    /// Most deployments.
    package static let deploymentCount = 1024
    /// Most replicas of one deployment.
    package static let replicaCount = 64
    /// Most stages of one placement.
    package static let stageCount = 256
    /// Most placements, in all phases together.
    package static let placementCount = 4096
    /// Most settings of the cluster, with those that were removed; of these the oldest are forgotten first.
    package static let settingCount = 256
    /// Most nodes remembered as unfit for a deployment, in all.
    package static let exclusionCount = 1024
    /// Results of commands kept to recognise a repeated command.
    package static let resultCount = 4096
    /// Most texts in a list of addresses, tags or reasons.
    package static let listCount = 64
    /// Longest single text. **Units:** bytes of UTF-8.
    package static let textBytes = 1024
    /// Largest layer index.
    package static let layerCount = 65536
    /// Latest wall clock believed in a stamp: the year 9999. **Units:** milliseconds since 1970.
    package static let latestMilliseconds: Int64 = 253_402_300_800_000
    /// Largest term, index, epoch, incarnation or wall clock that is read: no cluster gets there, and counting on from
    /// it stays far from the end of the type.
    package static let largestNumber: UInt64 = 1 << 62
    /// Most memory of a stage; so many of them as there can be placements have a sum. **Units:** bytes.
    package static let stageBytes: UInt64 = 1 << 50

    /// Largest record inside another one. **Units:** bytes.
    package static let recordBytes = 16 << 20
    /// Largest event. **Units:** bytes.
    package static let eventBytes = 64 << 10
    /// Most events of one command.
    package static let eventsPerEntry = 256
    /// Most entries in one append.
    package static let entriesPerAppend = 256
    /// Entries in one append stop growing at this size. **Units:** bytes, soft by one entry.
    package static let appendBytes = 256 << 10
    /// Events of one entry that a coordinator takes at once. **Units:** bytes.
    package static let coordinatedEntryBytes = 512 << 10
    /// Entries the leader sends ahead of a member's answers.
    package static let entriesInFlight = 4096
    /// Entries appended and not yet committed; beyond it commands are refused until the cluster catches up.
    package static let uncommittedEntries = 8192
    /// Entries kept in the log before a snapshot replaces them.
    package static let entriesBeforeSnapshot = 4096
    /// Entries kept behind a snapshot, so that slow members need no snapshot.
    package static let entriesBehindSnapshot = 1024
    /// Bytes of a snapshot sent at once.
    package static let snapshotChunkBytes = 256 << 10
    /// Largest snapshot. **Units:** bytes.
    package static let snapshotBytes = 64 << 20

    /// Commands a node waits for on behalf of its callers.
    package static let pendingCommands = 1024
    /// Largest reading on the gossip. **Units:** bytes.
    package static let readingBytes = 1024
    /// How far the epochs of a part without a majority may have counted ahead.
    package static let epochLeap: UInt64 = 1 << 32
    /// Stages a node reports about.
    package static let reportedStages = 16
    /// Stages a node is planned to run: plans that are being made may add to them, and all have to be reported.
    package static let hostedStages = reportedStages - plansInFlight
    /// Links a node reports about.
    package static let reportedLinks = 16
    /// Bytes of gossip on one probe or answer. **Units:** bytes.
    package static let gossipBytes = 1024
    /// News waiting to be passed on.
    package static let gossipQueue = 8192
    /// Times news of who answers is passed on is this times log2 of the member count; what a node holds, log2 times.
    package static let gossipFactor = 2
    /// Times other telemetry is passed on, however many members there are.
    package static let readingTellings = 4
    /// Members asked to probe for us.
    package static let indirectProbes = 3
    /// Probes in flight for others.
    package static let relayedProbes = 64
    /// Largest multiplier of a slow node's own timeouts.
    package static let localHealthLimit = 8
    /// Readings told to a member that has just started.
    package static let syncReadings = 512
    /// Members in a full exchange of membership.
    package static let syncCount = 4096
    /// Parts of telemetry in one message of an exchange.
    package static let exchangedNews = 2048
    /// A message of an exchange stops growing at this size. **Units:** bytes of telemetry, soft by one part.
    package static let exchangeBytes = 48 << 10
    /// Commands one pass of the reconcilers issues.
    package static let commandsPerPass = 16
    /// Plans being computed at once.
    package static let plansInFlight = 4
    /// Shortest time a deployment stays loaded without a request: less, and it would be unloaded before the request
    /// that woke it arrives. **Units:** milliseconds.
    package static let leastKeepAliveMilliseconds: UInt64 = 1000
    /// Devices a node reports about.
    package static let reportedDevices = 16
    /// Types of weights whose rate a reading tells.
    package static let reportedRates = 8
    /// Longest name of such a type. **Units:** bytes of UTF-8.
    package static let rateTypeBytes = 16
    /// Crashes within the crash window before a replica is given up.
    package static let crashCount = 3
    /// How often the pause between tries is doubled while stages do not reach each other.
    static let retryDoublings = 5
}
