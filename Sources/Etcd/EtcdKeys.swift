import Cluster
import Vocabulary

/// Names of the keys, and the texts that are their values: readable with `etcdctl get --prefix`.
struct EtcdKeys: Sendable {
    let prefix: String

    var cluster: String { prefix + "/cluster" }
    var leader: String { prefix + "/leader" }
    var head: String { prefix + "/head" }
    var snapshot: String { prefix + "/snapshot" }

    /// Entries up to this one, as many as came at once.
    func log(upTo index: UInt64) -> String { "\(prefix)/log/\(Hexadecimal.text(of: index))" }
    /// Behind the last of the log's keys: '0' comes after '/'.
    var logEnd: String { prefix + "/log0" }

    func pieces(of place: LogPlace) -> String {
        "\(prefix)/piece/\(Hexadecimal.text(of: place.index))-\(Hexadecimal.text(of: place.term))/"
    }
    func piece(_ number: Int, of place: LogPlace) -> String {
        pieces(of: place) + Hexadecimal.text(of: UInt64(number))
    }
    var piecesBegin: String { prefix + "/piece/" }
    var piecesEnd: String { prefix + "/piece0" }

    // MARK: Values

    /// Who leads, and in which of its lives.
    struct Holder: Hashable {
        var node: NodeID
        var boot: UInt64
    }

    /// Where the snapshot is and how long.
    struct Snapshot: Hashable {
        var place: LogPlace
        var bytes: Int
        var pieces: Int { max(1, (bytes + EtcdLimits.pieceBytes - 1) / EtcdLimits.pieceBytes) }
    }

    static func text(_ charter: CoordinatorCharter) -> String {
        "skein 1 \(Hexadecimal.text(of: charter.cluster)) \(charter.termBase)"
    }

    static func charter(_ text: String) -> CoordinatorCharter? {
        let parts = text.split(separator: " ")
        guard parts.count == 4, parts[0] == "skein", parts[1] == "1", let cluster = UInt64(parts[2], radix: 16),
            let base = UInt64(parts[3])
        else { return nil }
        return CoordinatorCharter(cluster: cluster, termBase: base)
    }

    static func text(_ place: LogPlace) -> String { "\(place.index) \(place.term)" }

    static func place(_ text: String) -> LogPlace? {
        let numbers = text.split(separator: " ").map { UInt64($0) }
        guard numbers.count == 2, let index = numbers[0], let term = numbers[1] else { return nil }
        return LogPlace(index: index, term: term)
    }

    static func text(_ holder: Holder) -> String { "\(holder.node) \(holder.boot)" }

    static func holder(_ text: String) -> Holder? {
        let parts = text.split(separator: " ")
        guard parts.count == 2, let node = UInt64(parts[0], radix: 16), let boot = UInt64(parts[1]) else { return nil }
        return Holder(node: NodeID(node), boot: boot)
    }

    static func text(_ snapshot: Snapshot) -> String { "\(text(snapshot.place)) \(snapshot.bytes)" }

    static func snapshot(_ text: String) -> Snapshot? {
        let numbers = text.split(separator: " ").map { UInt64($0) }
        guard numbers.count == 3, let index = numbers[0], let term = numbers[1], let bytes = numbers[2],
            bytes <= UInt64(Cluster.Limits.snapshotBytes)
        else { return nil }
        return Snapshot(place: LogPlace(index: index, term: term), bytes: Int(bytes))
    }
}
