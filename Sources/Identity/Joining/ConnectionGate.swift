import NIOCore
import Synchronization
package import Vocabulary

/// How many strangers may stand at the door.
package struct GateLimits: Hashable, Sendable {
    /// Connections at once that have not shown who they are.
    package var connections = Limits.unauthenticatedConnections
    /// Of these, how many may come from one address.
    package var connectionsPerAddress = Limits.connectionsPerAddress
    /// Connections of one address within a minute that never showed who they are.
    package var attemptsPerMinute = Limits.attemptsPerMinute
    /// Addresses remembered.
    package var addresses = Limits.addressCount

    /// The limits of `Limits`.
    package init() {}
}

/// Counts connections that have not shown who they are, by address. A pure value: time is handed in.
struct GateTable: Sendable {
    struct Row: Sendable {
        var open = 0
        var attempts = 0
        var windowBegan: Instant
    }

    private static let window: Duration = .seconds(60)

    let limits: GateLimits
    private(set) var open = 0
    private(set) var rows: [String: Row] = [:]

    init(limits: GateLimits) { self.limits = limits }

    /// Whether a connection from `address` may go on. Each yes is followed by one `leave`.
    mutating func enter(_ address: String, now: Instant) -> Bool {
        guard open < limits.connections else { return false }
        var row = rows[address] ?? Row(windowBegan: now)
        if now.since(row.windowBegan) >= Self.window { (row.attempts, row.windowBegan) = (0, now) }
        guard row.open < limits.connectionsPerAddress, row.attempts < limits.attemptsPerMinute else { return false }
        if rows[address] == nil, rows.count >= limits.addresses, !makeRoom(now: now) { return false }
        row.open += 1
        row.attempts += 1
        open += 1
        rows[address] = row
        return true
    }

    /// A connection ended, or is no stranger any more; then it is not held against its address.
    mutating func leave(_ address: String, authenticated: Bool) {
        guard var row = rows[address], row.open > 0 else { return }
        open -= 1
        row.open -= 1
        if authenticated { row.attempts = max(0, row.attempts - 1) }
        rows[address] = row.open == 0 && row.attempts == 0 ? nil : row
    }

    /// Forgets rows whose minute is over; when there are none, the oldest without a connection.
    private mutating func makeRoom(now: Instant) -> Bool {
        rows = rows.filter { $0.value.open > 0 || now.since($0.value.windowBegan) < Self.window }
        guard rows.count >= limits.addresses else { return true }
        let idle = rows.filter { $0.value.open == 0 }
        guard let oldest = idle.min(by: { ($0.value.windowBegan, $0.key) < ($1.value.windowBegan, $1.key) }) else {
            return false
        }
        rows[oldest.key] = nil
        return true
    }
}

/// Keeps strangers from filling the cluster port: a bounded number at once, in all and of each address, and a bounded
/// number of tries of each address per minute. Addresses of IPv6 count by their first 64 bits.
package final class ConnectionGate: Sendable {
    private let table: Mutex<GateTable>
    private let now: @Sendable () -> Instant

    /// Makes a gate; `now` is a clock that only goes forward.
    package init(limits: GateLimits = GateLimits(), now: @escaping @Sendable () -> Instant) {
        table = Mutex(GateTable(limits: limits))
        self.now = now
    }

    /// Connections in the gate.
    package var openCount: Int { table.withLock { $0.open } }

    /// Addresses remembered.
    package var addressCount: Int { table.withLock { $0.rows.count } }

    /// One connection's place in the gate.
    final class Pass: Sendable {
        private let gate: ConnectionGate
        private let address: String
        private let isInside = Mutex(true)

        fileprivate init(gate: ConnectionGate, address: String) {
            self.gate = gate
            self.address = address
        }

        /// Ends the place; only the first call counts.
        func leave(authenticated: Bool) {
            let first = isInside.withLock { inside in
                defer { inside = false }
                return inside
            }
            if first { gate.table.withLock { $0.leave(address, authenticated: authenticated) } }
        }
    }

    /// A place for a new connection, or nil when there is none.
    func enter(_ address: SocketAddress?) -> Pass? {
        let key = Self.key(of: address)
        let time = now()
        return table.withLock { $0.enter(key, now: time) } ? Pass(gate: self, address: key) : nil
    }

    /// What an address is counted as: IPv4 whole, also inside IPv6; IPv6 by the network that one machine commands.
    static func key(of address: SocketAddress?) -> String {
        guard let text = address?.ipAddress else { return "local" }
        guard text.contains(":") else { return text }
        if let dotted = text.split(separator: ":").last, dotted.contains(".") { return String(dotted) }
        let halves = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let gap = halves.firstIndex(of: "") ?? halves.count
        let left = Array(halves[..<gap])
        let right = halves[gap...].filter { !$0.isEmpty }
        let zeros = Array(repeating: "0", count: max(0, 8 - left.count - right.count))
        return (left + zeros + right).prefix(4).joined(separator: ":") + "::/64"
    }
}
