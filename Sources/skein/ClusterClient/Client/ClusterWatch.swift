/// Follows the events of a node, and goes on where the connection was lost.
struct ClusterWatch {
    let client: ClusterClient
    /// Waits; tests do not.
    var pause: (Duration) async throws -> Void = { try await Task.sleep(for: $0) }

    /// Gives every event to `receive` once; `lost` hears why a connection ended that is asked for again.
    ///
    /// **Throws:** what cannot be mended by asking again, and the last loss when nobody answers for too long.
    func run(
        lost: (ClusterClientError) -> Void, _ receive: (ServerEvent) throws(ClusterClientError) -> Void
    ) async throws(ClusterClientError) {
        let limits = client.settings.limits
        var last: String?
        var attempt = 0
        while true {
            do throws(ClusterClientError) {
                try await client.events(after: last) { event throws(ClusterClientError) in
                    try receive(event)
                    last = event.id ?? last
                    attempt = 0
                }
                // Silence is the rule in a cluster where nothing happens: the next request tells whether it is that.
                attempt = 0
            } catch {
                // A node that was never there is not waited for.
                guard error.mayPass, last != nil, attempt < limits.retries else { throw error }
                lost(error)
                attempt += 1
            }
            do { try await pause(limits.pause(before: attempt)) } catch { return }
        }
    }
}
