import Cluster
import Vocabulary

/// Bugs planted into the simulator's own shells, one at a time, to show that the checkers catch them.
package enum Mutation: String, CaseIterable, Sendable {
    /// Every answer to a vote says yes.
    case doubleLeader = "double-leader"
    /// Entries are acknowledged and then missing after a restart.
    case lostAcknowledgement = "lost-acknowledgement"
    /// A node obeys an epoch below the one it has accepted.
    case staleEpoch = "stale-epoch"
    /// Messages that have arrived are never taken off the books.
    case unboundedGrowth = "unbounded-growth"
    /// A node whose disk lost everything goes on as if it were new.
    case denied = "denied-amnesia"
    /// The coordinator obeys leaders whose tenure is over; shows with `Scenario.isCoordinated` only.
    case unfencedCoordinator = "unfenced-coordinator"
}

/// What a simulated world is made of; drawn from its seed, or chosen.
package struct Scenario: Sendable {
    /// Decides everything that is drawn.
    package var seed: UInt64
    /// Members from the start.
    package var nodeCount: Int
    /// Virtual time with faults.
    package var faultTime: Duration
    /// Virtual time without faults, within which everything has to converge.
    package var calmTime: Duration
    /// Chance that a message is lost, in thousandths.
    package var lossPerMille = 0
    /// Chance that a message comes twice, in thousandths.
    package var duplicationPerMille = 0
    /// Shortest way of a message. **Units:** microseconds.
    package var latencyMicroseconds = 200
    /// Spread of the way; messages overtake each other within it. **Units:** microseconds.
    package var jitterMicroseconds = 1000
    /// Mean time between faults; nil means none.
    package var faultPeriod: Duration?
    /// Whether parts without a majority help themselves early, and faults last longer.
    package var isImpatient = false
    /// Whether a coordinator outside gives the leadership and holds the log, with faults of its own.
    package var isCoordinated = false
    /// Whether messages take the way through their bytes.
    package var encodesMessages = false
    /// Whether nobody wants anything and nobody dies, in a large world.
    package var isIdle = false
    /// Whether every node's history is compared entry by entry.
    package var checksHistory = true
    /// A planted bug.
    package var mutation: Mutation?

    /// Draws a small world with all faults from a seed.
    package init(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        self.seed = seed
        nodeCount = 1 + random.below(6)
        faultTime = .seconds(6 + random.below(8))
        calmTime = .seconds(45)
        let isRough = random.below(2) == 0
        lossPerMille = isRough ? random.below(150) : 0
        duplicationPerMille = isRough ? random.below(50) : 0
        latencyMicroseconds = 100 + random.below(2000)
        jitterMicroseconds = 1 + random.below(isRough ? 60_000 : 2000)
        faultPeriod = .milliseconds(400 + random.below(2000))
        isImpatient = seed % 3 == 0
        encodesMessages = seed % 8 == 0
    }

    /// A large, healthy world that is measured rather than broken.
    package init(seed: UInt64, nodeCount: Int) {
        self.seed = seed
        self.nodeCount = nodeCount
        faultTime = .zero
        calmTime = .seconds(30)
        encodesMessages = false
        checksHistory = false
    }
}
