import Vocabulary

/// How long things take, or may take. The defaults are for a local network.
package struct Timings: Sendable {
    /// One member is probed per period.
    package var probePeriod = Duration.milliseconds(500)
    /// A probe's answer is expected within this; then others are asked to probe.
    package var probeTimeout = Duration.milliseconds(150)
    /// A suspect may object for this times log10 of the member count, at least once.
    package var suspicionBase = Duration.milliseconds(1000)
    /// A suspicion nobody else shares lasts longer by this factor.
    package var suspicionStretch = 3
    /// Dead members are tried again, one per this time.
    package var revivePeriod = Duration.seconds(1)
    /// What is known is compared with one member per this time.
    package var exchangePeriod = Duration.seconds(10)

    /// Time between a leader's heartbeats to voters.
    package var heartbeat = Duration.milliseconds(200)
    /// How long a voter that heard its leader helps nobody else to lead.
    package var promise = Duration.milliseconds(1000)
    /// How long a leader leads after a majority heard it: less than the promise, so that clocks may run 10 % apart.
    package var lease = Duration.milliseconds(900)
    /// Spread of the time after a promise until a voter tries to lead.
    package var electionSpread = Duration.milliseconds(500)
    /// How long a candidate waits for votes.
    package var campaign = Duration.milliseconds(400)
    /// How long there must have been no leader before the nodes without a majority help themselves.
    package var degradedAfter = Duration.milliseconds(3000)
    /// Time between heartbeats without a majority, and after three of them the leader is missed.
    package var branchHeartbeat = Duration.milliseconds(300)

    /// How long a coordinator keeps a leader that is not heard. **Units:** whole seconds, at least 2.
    package var coordinatorLease = Duration.seconds(3)
    /// Time between a leader's renewals there.
    package var coordinatorRenewal = Duration.milliseconds(500)
    /// What failed there, or was taken, is tried again after this.
    package var coordinatorRetry = Duration.milliseconds(300)
    /// Nodes that do not lead look after the coordinator at this interval.
    package var coordinatorInspection = Duration.seconds(10)
    /// A question to the coordinator without an answer counts as unanswered after this.
    package var coordinatorPatience = Duration.seconds(5)

    /// A command is sent again after this.
    package var commandRetry = Duration.milliseconds(500)
    /// A command without an answer ends after this.
    package var commandDeadline = Duration.seconds(15)
    /// A node tells the leader what it measures at most this often unless a stage changed, and the gossip in clusters
    /// of up to ten; in larger ones less often, so that nobody hears more of it.
    package var readingPeriod = Duration.seconds(5)
    /// Changes of a node's stages within this go around together.
    package var stageRound = Duration.seconds(1)
    /// The reconcilers look again after this, when nothing happened.
    package var reconcilePeriod = Duration.seconds(1)
    /// The disk is tried again after this.
    package var storeRetry = Duration.seconds(10)

    /// A voter dead for this long is replaced by a live member.
    package var voterReplacement = Duration.seconds(20)
    /// A node that is not known to be alive is given this long after a leader's start before its stages are missed.
    package var leaderGrace = Duration.seconds(2)
    /// A stage that its node does not mention is missed after this.
    package var reportGrace = Duration.seconds(5)
    /// Loading may take this long without progress of the phase.
    package var loadDeadline = Duration.seconds(1800)
    /// A canary token may take this long.
    package var canaryDeadline = Duration.seconds(30)
    /// Requests may take this long to end on an epoch that was replaced.
    package var drainDeadline = Duration.seconds(120)
    /// A node that failed to fetch or refused is left out for this long.
    package var exclusion = Duration.seconds(300)
    /// A stage that lost its neighbour waits this long for what took the neighbour along to be known.
    package var settling = Duration.milliseconds(300)
    /// Crashes within this count together.
    package var crashWindow = Duration.seconds(60)
    /// A better placement is looked for this often, for one replica at a time.
    package var replanPeriod = Duration.seconds(60)
    /// ... and only for placements that have served this long.
    package var replanSettling = Duration.seconds(300)
    /// A plan that came to nothing is tried again after this.
    package var planRetry = Duration.seconds(2)

    /// A deployment made by a first request that came to nothing is forgotten after this; until then others that ask
    /// for it hear why.
    package var failedDemand = Duration.seconds(60)

    /// The defaults.
    package init() {}

    /// How long a leader believes in a renewal: less than the lease, so that clocks may run 10 % apart.
    var coordinatorTrust: Duration { coordinatorLease * 9 / 10 }
}

extension Duration {
    /// A whole multiple.
    func times(_ factor: Int) -> Duration { self * factor }

    /// **Units:** milliseconds.
    var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
