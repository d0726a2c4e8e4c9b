package import Dialects

/// Where responses are kept; the gateway's port, which a store of the node stands behind.
package protocol ResponseStoring: Sendable {
    /// Keeps a record in place of an earlier one of the same identity. It may be dropped again by age and size.
    ///
    /// **Throws:** `ResponseStoreError.full` or `failed`; then the earlier record, if any, is still there.
    func save(_ record: Responses.Record) async throws(ResponseStoreError)

    /// The record of this identity; nil when there is none.
    ///
    /// **Throws:** `ResponseStoreError.failed`.
    func load(id: String) async throws(ResponseStoreError) -> Responses.Record?

    /// Forgets a record; false when there was none.
    ///
    /// **Throws:** `ResponseStoreError.full` or `failed`.
    func delete(id: String) async throws(ResponseStoreError) -> Bool
}

/// Why a store of responses cannot do what it is asked.
package enum ResponseStoreError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The disk is full.
    case full
    /// The record is larger than all that may be kept.
    case tooLarge(bytes: Int, limit: Int)
    /// The store's file failed.
    case failed(reason: String)

    /// One sentence with the next step.
    package var description: String {
        switch self {
        case .full: "The disk with the response store is full; free space or send store=false."
        case .tooLarge(let bytes, let limit):
            "The response has \(bytes) bytes, but the store keeps \(limit) in all; send store=false."
        case .failed(let reason): "The response store failed (\(reason)); check its disk, or send store=false."
        }
    }

    /// What a client is told.
    var report: Responses.StateError {
        switch self {
        case .full: .storageFull
        case .tooLarge, .failed: .storageFailed(reason: description)
        }
    }
}
