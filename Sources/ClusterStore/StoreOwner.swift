package import Cluster
import Foundation
import GRDB
import Vocabulary

/// Whose memory a file is: a node, and the cluster it is in.
package struct StoreOwner: Hashable, Sendable, CustomStringConvertible {
    /// The cluster.
    package let cluster: UInt64
    /// The node.
    package let node: NodeID

    /// Names an owner.
    package init(cluster: UInt64, node: NodeID) {
        self.cluster = cluster
        self.node = node
    }

    /// Both ids.
    package var description: String { "node \(node) in cluster \(NodeID(cluster))" }
}

/// A file is of another node or cluster than the one that opens it.
struct ForeignStore: Error {
    let owner: StoreOwner
}

extension StoreTables {
    /// Apart from the other tables, because it says whose they are and no record changes it.
    static func makeOwner(_ database: Database) throws {
        try database.execute(
            sql: "CREATE TABLE owner (one INTEGER PRIMARY KEY CHECK (one = 1), cluster TEXT, node TEXT) STRICT")
    }

    /// Notes the owner in a file that has none.
    ///
    /// **Throws:** `ForeignStore` when it has another one.
    static func claim(for owner: StoreOwner, _ database: Database) throws {
        guard let row = try Row.fetchOne(database, sql: "SELECT cluster, node FROM owner") else {
            let values = [String(owner.cluster), String(owner.node.value)]
            try database.execute(
                sql: "INSERT INTO owner (one, cluster, node) VALUES (1, ?, ?)", arguments: StatementArguments(values))
            return
        }
        guard let cluster = String.fromDatabaseValue(row[0]).flatMap({ UInt64($0) }),
            let node = String.fromDatabaseValue(row[1]).flatMap({ UInt64($0) })
        else { throw StoreDamage(field: "the owner of the memory", reason: "its number cannot be read") }
        let known = StoreOwner(cluster: cluster, node: NodeID(node))
        guard known == owner else { throw ForeignStore(owner: known) }
    }
}
