import Cluster
import Vocabulary

/// What is counted during a run.
struct Figures {
    var messages: UInt64 = 0
    var bytes: UInt64 = 0
    var countsBytes = false
    /// What was sent before counts for nothing: a start of all nodes at once happens once. **Units:** nanoseconds.
    var countsFrom: Int64 = 0
    var firstLeaderAt: Int64?
    var convergedAt: Int64?
    var calmAt: Int64 = 0
    var degradedCommands = 0
    var servedEpochs = 0
    var lostMemories = 0
    /// Whether everything should become well from now on.
    var isMeasuring = false
    /// Bytes of each part of all messages.
    var parts = OrderedTable<String, UInt64>()
    /// Bytes each node sent.
    var bytesOfNode: [UInt64] = []
    private var lookedAt: Int64 = 0

    mutating func sent(_ message: ClusterMessage, _ count: Int, from node: Int, at time: Int64) {
        guard time >= countsFrom else { return }
        messages += 1
        bytes += UInt64(count)
        guard countsBytes else { return }
        while bytesOfNode.count <= node { bytesOfNode.append(0) }
        bytesOfNode[node] += UInt64(count)
        for part in message.parts(of: count) { parts[part.name] = (parts[part.name] ?? 0) + UInt64(part.bytes) }
    }

    /// Looking at everybody is dear, so it is done at intervals.
    mutating func shouldLook(_ time: Int64) -> Bool {
        guard time >= lookedAt + 100_000_000 else { return false }
        lookedAt = time
        return true
    }
}

/// What a run came to.
package struct Outcome: Hashable, Sendable {
    /// The run's seed; the same seed gives the same outcome.
    package var seed: UInt64
    /// Number of nodes.
    package var nodeCount: Int
    /// Virtual time that passed.
    package var virtualTime: Duration
    /// From the start, or in a healthy world from its leader's death, to the next leader by majority; nil when there
    /// was none.
    package var electionTime: Duration?
    /// From the end of all faults until everything was well; nil when it never was.
    package var convergenceTime: Duration?
    /// Messages sent per node and second, in a healthy world from its fifth second on.
    package var messagesPerNodePerSecond: Double
    /// Bytes sent per node and second, without transport headers, counted as messages are; 0 when they were not.
    package var bytesPerNodePerSecond: Double
    /// The same for each part of the messages, by name.
    package var bytesOfParts: [String: Double] = [:]
    /// Bytes per second of the node that sent most.
    package var bytesOfBusiest: Double = 0
    /// Digest of everything that was agreed on, in its order.
    package var digest: UInt64
    /// Commands whose callers were told that they are done.
    package var acknowledgedCount: Int
    /// Commands done without a majority.
    package var degradedCount: Int
    /// Times a stage began to serve.
    package var servedCount: Int
    /// Times a disk lost everything.
    package var forgottenCount: Int
    /// Terms that had a leader by majority.
    package var termCount: Int
    /// What must never happen and did; nil when all is well.
    package var violation: String?
}

extension World {
    var outcome: Outcome {
        let electionStart = scenario.faultPeriod == nil ? figures.calmAt : 0
        let seconds = max(1e-9, Double(time - figures.countsFrom) / 1e9)
        // Who is dead for good sends nothing, and is not counted from then on.
        let down = scenario.faultPeriod == nil ? nodes.count { !$0.isUp } : 0
        let lost = Double(down) * Double(time - max(figures.countsFrom, figures.calmAt)) / 1e9
        let lives = max(1e-9, Double(nodes.count) * seconds - lost)
        var outcome = Outcome(
            seed: scenario.seed, nodeCount: nodes.count, virtualTime: .nanoseconds(time),
            electionTime: figures.firstLeaderAt.map { .nanoseconds($0 - electionStart) },
            convergenceTime: figures.convergedAt.map { .nanoseconds($0 - figures.calmAt) },
            messagesPerNodePerSecond: Double(figures.messages) / lives,
            bytesPerNodePerSecond: Double(figures.bytes) / lives, digest: ledger.digest,
            acknowledgedCount: ledger.acknowledged.count, degradedCount: figures.degradedCommands,
            servedCount: figures.servedEpochs, forgottenCount: figures.lostMemories,
            termCount: ledger.termCount, violation: ledger.violation)
        for row in figures.parts.elements {
            outcome.bytesOfParts[row.key] = Double(row.value) / lives
        }
        outcome.bytesOfBusiest = Double(figures.bytesOfNode.max() ?? 0) / seconds
        return outcome
    }

    /// Bytes are counted from here on; it costs the encoding of every message.
    package mutating func countBytes() { figures.countsBytes = true }
}
