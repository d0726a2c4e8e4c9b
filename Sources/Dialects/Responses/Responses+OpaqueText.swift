import Vocabulary

extension Responses {
    /// Text in a form clients hand back without looking into it: `encrypted_content` of reasoning and compactions.
    ///
    /// It is not secret (the client may read its own reasoning and summaries); the form only survives the trip through
    /// clients that send back nothing but this member.
    /// **Encoding:** `skein-1.` and base64url (RFC 4648 §5) of UTF-8, without padding.
    enum OpaqueText {
        private static let mark = "skein-1."

        static func seal(_ bytes: [UInt8]) -> String { mark + Base64URL.text(bytes) }

        /// The text; nil for what was not sealed here.
        static func open(_ text: String) -> String? {
            guard text.hasPrefix(mark), let bytes = Base64URL.bytes(text.dropFirst(mark.count)) else { return nil }
            return String(validating: bytes, as: UTF8.self)
        }
    }
}
