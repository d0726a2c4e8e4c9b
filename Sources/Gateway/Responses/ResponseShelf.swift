import Dialects

/// Finds responses, whether they are being made or lie in the store.
struct ResponseShelf: Sendable {
    /// nil when the node keeps no responses.
    let store: (any ResponseStoring)?
    let background: BackgroundResponses?

    /// The record of this identity.
    ///
    /// **Throws:** `StateError.notFound`, or that the store failed.
    func record(id: String) async throws(Responses.StateError) -> Responses.Record {
        guard let found = try await find(id) else { throw .notFound(id: id) }
        return found
    }

    /// The responses a request continues, oldest first.
    ///
    /// **Throws:** `StateError.previousNotFound`, `previousRunning`, `chainTooLong`, `chainTooLarge`, `storageAbsent`,
    /// or that the store failed.
    func chain(
        endingAt last: String?, memory: SocketMemory = SocketMemory()
    ) async throws(Responses.StateError) -> [Responses.Record] {
        guard let last else { return [] }
        guard store != nil || memory.record(id: last) != nil else {
            throw .storageAbsent(field: "previous_response_id")
        }
        var records: [Responses.Record] = []
        var bytes = 0
        var next: String? = last
        while let id = next {
            guard records.count < Dialects.Limits.responseChain else {
                throw .chainTooLong(limit: Dialects.Limits.responseChain)
            }
            var found = memory.record(id: id)
            if found == nil { found = try await find(id) }
            guard let record = found else { throw .previousNotFound(id: id) }
            if let status = record.status, !status.isOver { throw .previousRunning(id: id) }
            bytes += record.size
            guard bytes <= Dialects.Limits.recordBytes else {
                throw .chainTooLarge(bytes: bytes, limit: Dialects.Limits.recordBytes)
            }
            records.append(record)
            next = record.previousID
        }
        return records.reversed()
    }

    /// The records of these identities; missing ones are left out.
    ///
    /// **Throws:** that the store failed.
    func records(ids: [String]) async throws(Responses.StateError) -> [Responses.Record] {
        var records: [Responses.Record] = []
        for id in ids {
            if let record = try await find(id) { records.append(record) }
        }
        return records
    }

    /// Forgets a kept response; false when there was none.
    ///
    /// **Throws:** that the store failed.
    func delete(id: String) async throws(Responses.StateError) -> Bool {
        do {
            return try await store?.delete(id: id) ?? false
        } catch {
            throw error.report
        }
    }

    private func find(_ id: String) async throws(Responses.StateError) -> Responses.Record? {
        if let record = await background?.record(id: id) { return record }
        do {
            // Nobody works on it, so one that says otherwise was left by a node that stopped.
            return try await store?.load(id: id)?.closedAsInterrupted()
        } catch {
            throw error.report
        }
    }
}
