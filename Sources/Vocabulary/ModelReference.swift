/// What a client may write for a model: `name[:tag]`, `org/repo[@revision][:quantisation]`, a digest, or `auto`.
///
/// Names of files are as free as file names are, so only what no name has is refused; whatever has a slash keeps to the
/// form of hubs.
package struct ModelReference: Hashable, Sendable, CustomStringConvertible {
    /// How it is read.
    package enum Form: Hashable, Sendable {
        /// Whatever is there.
        case any
        /// The SHA-256 of a file.
        case digest(String)
        /// A name, and what is behind its last colon.
        case name(String, tag: String?)
        /// Where a file comes from. It may be a name all the same: names of Ollama's clients look like this, too.
        case source(ModelSource)
    }

    /// As it was written.
    package let text: String
    /// How it is read.
    package let form: Form

    /// Longest name. **Units:** bytes.
    package static let byteLimit = 256
    /// Most aliases of one model.
    package static let aliasLimit = 16
    /// What Ollama's clients put behind a name that has no tag.
    package static let latest = "latest"

    /// Reads a name.
    ///
    /// **Throws:** `ModelNameError.empty`, `.tooLong`, `.character`, or `.malformed` with what is wrong with it.
    package init(_ text: String) throws(ModelNameError) {
        guard !text.isEmpty else { throw .empty }
        guard text.utf8.count <= Self.byteLimit else {
            throw .tooLong(bytes: text.utf8.count, limit: Self.byteLimit)
        }
        for (offset, scalar) in text.unicodeScalars.enumerated() where Self.isForbidden(scalar) {
            throw .character(code: scalar.value, offset: offset)
        }
        self.text = text
        if text == "auto" || text == "auto:\(Self.latest)" {
            form = .any
        } else if let digest = Self.digest(text) {
            form = .digest(digest)
        } else {
            form = try Self.form(of: text)
        }
    }

    private static func form(of text: String) throws(ModelNameError) -> Form {
        guard text != ".", text != ".." else { throw .malformed(name: text, reason: "it is a folder") }
        guard !text.hasPrefix("/"), !text.hasPrefix("~") else {
            throw .malformed(name: text, reason: "it is a path; clients name models, and 'skein deploy' takes files")
        }
        let head = text.prefix { $0 != "@" && $0 != ":" }
        if head.contains("/") {
            let parts = head.split(separator: "/", omittingEmptySubsequences: false)
            // Ollama's clients name up to three parts, the first one of which need not be a host.
            guard parts.count == 3, !parts[0].contains("."), !text.contains("@") else {
                return .source(try ModelSource(text))
            }
            let pairs = ["\(parts[0])/\(parts[1])", "\(parts[1])/\(parts[2])"]
            guard pairs.allSatisfy({ (try? ModelSource($0)) != nil }) else {
                throw .malformed(
                    name: text, reason: "the form is name[:tag], space/name[:tag] or org/repo[@revision][:quantisation]"
                )
            }
        }
        guard !text.contains("@") else {
            throw .malformed(name: text, reason: "a revision goes with org/repo, as in org/repo@revision")
        }
        guard let colon = text.lastIndex(of: ":") else { return .name(text, tag: nil) }
        let (name, tag) = (text[..<colon], text[text.index(after: colon)...])
        guard !name.isEmpty, !tag.isEmpty else {
            throw .malformed(
                name: text, reason: "there is nothing \(name.isEmpty ? "in front of" : "behind") its colon")
        }
        return .name(String(name), tag: String(tag))
    }

    /// Refuses a text that cannot become the name of a model.
    ///
    /// **Throws:** as the initialiser does, and `.malformed` for what means something else already.
    package static func check(newName text: String) throws(ModelNameError) {
        switch try ModelReference(text).form {
        case .any: throw .malformed(name: text, reason: "'auto' means any model")
        case .digest: throw .malformed(name: text, reason: "it looks like a digest")
        case .source(let source) where source.revision != nil:
            throw .malformed(name: text, reason: "it has a revision; say where the model comes from by --source")
        case .name, .source: return
        }
    }

    /// As it was written.
    package var description: String { text }

    private static func digest(_ text: String) -> String? {
        let prefix = ["sha256:", "sha256-"].first(where: text.hasPrefix) ?? ""
        let digits = text.dropFirst(prefix.count)
        return Hexadecimal.isDigest(digits) ? String(digits) : nil
    }

    /// What nobody sees, or what looks like something else: names stand in lists, logs and terminals.
    private static func isForbidden(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: true
        default: scalar == "\\"
        }
    }
}
