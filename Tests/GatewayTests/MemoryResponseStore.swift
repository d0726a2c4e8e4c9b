import Dialects
import Gateway

/// Keeps responses as long as it lives, and fails or waits when told to.
actor MemoryResponseStore: ResponseStoring {
    private var records: [String: Responses.Record] = [:]
    private var failure: ResponseStoreError?
    private var isHeld = false
    private var held: [CheckedContinuation<Void, Never>] = []
    private let (saves, save) = AsyncStream.makeStream(of: Void.self)

    /// What every save fails with from now on.
    func fail(with error: ResponseStoreError?) { failure = error }

    /// Every save waits from now on.
    func hold() { isHeld = true }

    /// Waits until a save waits.
    nonisolated func holdsSave() async { for await _ in saves { return } }

    /// Lets all saves go on.
    func release() {
        isHeld = false
        for waiting in held { waiting.resume() }
        held = []
    }

    func save(_ record: Responses.Record) async throws(ResponseStoreError) {
        if isHeld {
            await withCheckedContinuation { waiting in
                held.append(waiting)
                save.yield(())
            }
        }
        if let failure { throw failure }
        records[record.id] = record
    }

    func load(id: String) async throws(ResponseStoreError) -> Responses.Record? { records[id] }

    func delete(id: String) async throws(ResponseStoreError) -> Bool { records.removeValue(forKey: id) != nil }
}
