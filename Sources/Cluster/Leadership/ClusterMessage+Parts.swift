extension ClusterMessage {
    /// What the bytes of a message are spent on, for counting; what rides on a probe is counted apart from it.
    package func parts(of size: Int) -> [(name: String, bytes: Int)] {
        switch self {
        case .ping(_, let gossip), .pingRequest(_, _, let gossip), .ack(_, _, let gossip):
            let status = gossip.updates.isEmpty ? 0 : Self.bytes(of: gossip.updates)
            let readings = ReadingPart.allCases.compactMap { part -> (name: String, bytes: Int)? in
                let news = gossip.news.filter { $0.part == part }
                return news.isEmpty ? nil : ("readings of \(part)", Self.bytes(of: news))
            }
            let told = readings.reduce(status) { $0 + $1.bytes }
            return [("probes", size - told), ("status news", status)] + readings
        case .nack: return [("probes", size)]
        case .sync: return [("exchanges", size)]
        case .append(let append): return [(append.entries.isEmpty ? "heartbeats" : "entries", size)]
        case .appendReply: return [("append replies", size)]
        case .snapshot, .snapshotReply: return [("snapshots", size)]
        case .report: return [("reports", size)]
        case .propose, .refused, .doneDegraded: return [("commands", size)]
        case .vote, .voteReply, .succeed, .branch, .branchReply: return [("elections", size)]
        }
    }

    private static func bytes(of list: [some Recordable]) -> Int {
        var writer = RecordWriter()
        writer.put(list: list)
        return writer.bytes.count - 1
    }
}
