import Dialects
import Gateway

/// Keeps responses as long as it lives, and fails when told to.
actor MemoryResponseStore: ResponseStoring {
    private var records: [String: Responses.Record] = [:]
    private var failure: ResponseStoreError?

    /// What every save fails with from now on.
    func fail(with error: ResponseStoreError?) { failure = error }

    func save(_ record: Responses.Record) async throws(ResponseStoreError) {
        if let failure { throw failure }
        records[record.id] = record
    }

    func load(id: String) async throws(ResponseStoreError) -> Responses.Record? { records[id] }

    func delete(id: String) async throws(ResponseStoreError) -> Bool { records.removeValue(forKey: id) != nil }
}
