import Dialects

/// What a WebSocket remembers of its own responses that are kept nowhere else: with `store: false` they can be
/// continued on the same connection, and are gone with it.
struct SocketMemory: Sendable {
    private var records: [Responses.Record] = []
    private var bytes = 0

    /// The remembered response of this identity.
    func record(id: String) -> Responses.Record? { records.first { $0.id == id } }

    /// Remembers a response; the oldest ones go when they are too many or too large.
    mutating func keep(_ record: Responses.Record) {
        records.append(record)
        bytes += record.size
        while records.count > Dialects.Limits.responseChain || (bytes > Limits.socketMemoryBytes && records.count > 1) {
            bytes -= records.removeFirst().size
        }
    }

    /// Forgets a response: one that a failed turn continued is not to be relied on.
    mutating func forget(id: String) {
        guard let index = records.firstIndex(where: { $0.id == id }) else { return }
        bytes -= records.remove(at: index).size
    }
}
