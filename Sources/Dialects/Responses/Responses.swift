/// The Responses dialect: request bodies and stored records in, response objects and event streams out. No HTTP.
///
/// Where OpenAI's API and the Open Responses specification differ, OpenAI's SDKs decide: reasoning streams as
/// `response.reasoning_text.*`. An `error` event carries both shapes.
/// **Source:** OpenAI's API reference and SDK types (Responses); the Open Responses specification, 2026-04-24.
package enum Responses {
    /// What every response's identity starts with.
    package static let idPrefix = "resp_"

    /// The part of a response's identity that its items share.
    static func suffix(of responseID: String) -> String {
        responseID.hasPrefix(idPrefix) ? String(responseID.dropFirst(idPrefix.utf8.count)) : responseID
    }

    /// The response an item of ours belongs to, told by the item's identity; nil for identities of other makers.
    static func responseID(ofItem id: String) -> String? {
        let parts = id.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count == 3, let mark = parts[2].utf8.first, !parts[1].isEmpty,
            mark == UInt8(ascii: "i") || mark == UInt8(ascii: "o")
        else { return nil }
        return idPrefix + parts[1]
    }
}
