import Vocabulary

extension Ollama {
    /// Names that clients give to models.
    package enum ModelNames {
        /// Longest part of a name. **Units:** bytes.
        package static let partBytes = 80
        /// Most parts in front of the tag, `host/namespace/model`.
        package static let parts = 3

        /// A name as it is kept, without `:latest`.
        ///
        /// **Throws:** `DialectError.invalidValue` with what is wrong with it.
        package static func checked(_ name: String, field: String) throws(DialectError) -> String {
            guard let reason = objection(to: name) else { return lookupName(name) }
            throw .invalidValue(field: field, value: "'\(clipped(name))'", expected: reason)
        }

        private static func objection(to name: String) -> String? {
            let tagged = name.split(separator: ":", omittingEmptySubsequences: false)
            let form = "a name such as 'name', 'name:tag' or 'space/name:tag'"
            guard tagged.count <= 2 else { return form }
            let parts = tagged[0].split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count <= Self.parts, (parts + tagged.dropFirst()).allSatisfy(isPart) else {
                return "\(form), each part of at most \(partBytes) of the characters a-z, A-Z, 0-9, _, - and ., "
                    + "the first one a letter, a digit or _"
            }
            if lookupName(name) == "auto" { return "another name; 'auto' means any model" }
            if Hexadecimal.isDigest(lookupName(name)) { return "another name; this one looks like a digest" }
            return nil
        }

        private static func isPart(_ part: Substring) -> Bool {
            guard (1...partBytes).contains(part.utf8.count), let first = part.utf8.first else { return false }
            let dots = [UInt8(ascii: "."), UInt8(ascii: "-")]
            return !dots.contains(first) && part.utf8.allSatisfy { isWord($0) || dots.contains($0) }
        }

        private static func isWord(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
    }

    /// Digests of uploaded files.
    package enum BlobDigest {
        /// The lower-case hexadecimal SHA-256 of `sha256:…`, or of `sha256-…` as it stands in file names.
        ///
        /// **Throws:** `DialectError.invalidValue`.
        package static func read(_ text: String, field: String) throws(DialectError) -> String {
            for prefix in ["sha256:", "sha256-"] where text.hasPrefix(prefix) {
                let digest = String(text.dropFirst(prefix.count))
                if Hexadecimal.isDigest(digest) { return digest }
            }
            throw .invalidValue(
                field: field, value: "'\(clipped(text))'", expected: "'sha256:' and 64 digits 0-9 or a-f")
        }
    }
}
