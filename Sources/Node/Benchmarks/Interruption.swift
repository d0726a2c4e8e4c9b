import UnixSignals

/// Ends a bench when it is told to, so that its children end, too.
package enum Interruption {
    /// Runs `body` until it ends or a signal asks this process to stop; then `body` is cancelled and has ended before
    /// this throws.
    ///
    /// **Throws:** `BenchError.interrupted`, and what `body` throws.
    package static func watch<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value.self) { group in
            let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup)
            group.addTask { try await body() }
            group.addTask {
                for await _ in signals { throw BenchError.interrupted }
                throw CancellationError()
            }
            defer { group.cancelAll() }
            guard let value = try await group.next() else { throw CancellationError() }
            return value
        }
    }
}
