/// Where a model's file comes from, as hubs of models name it: `org/repo@revision:quantisation`.
///
/// A revision is exact: it is compared as it is written, so that `main` is that of a file of which somebody said so,
/// and never a moving target.
package struct ModelSource: Hashable, Sendable, CustomStringConvertible {
    /// Who published it.
    package let organization: String
    /// The name of the repository.
    package let repository: String
    /// Commit, tag or branch; nil where nobody says.
    package let revision: String?
    /// How the weights are stored, `Q4_K_M`; nil where nobody says.
    package var quantization: String?

    /// Longest organisation or repository. **Units:** bytes.
    package static let partBytes = 96
    /// Longest revision. **Units:** bytes.
    package static let revisionBytes = 128
    /// Longest quantisation. **Units:** bytes.
    package static let quantizationBytes = 32
    /// Most sources one file has.
    package static let countLimit = 8

    /// Reads `org/repo[@revision][:quantisation]`; a host in front, as in `hub.example/org/repo`, is passed over.
    ///
    /// **Throws:** `ModelNameError.malformed` with what is wrong with it.
    package init(_ text: String) throws(ModelNameError) {
        func refuse(_ reason: String) -> ModelNameError { .malformed(name: text, reason: reason) }
        let head = text.prefix { $0 != "@" && $0 != ":" }
        var parts = head.split(separator: "/", omittingEmptySubsequences: false)
        if parts.count == 3, parts[0].contains(".") { parts.removeFirst() }
        guard parts.count == 2 else { throw refuse("the form is org/repo[@revision][:quantisation]") }
        for (what, part) in [("organisation", parts[0]), ("repository", parts[1])] {
            guard Self.isPart(part, limit: Self.partBytes) else {
                throw refuse(
                    "the \(what) has 1 to \(Self.partBytes) of the characters a-z, A-Z, 0-9, _, - and ., the first "
                        + "one a letter, a digit or _")
            }
        }
        var rest = text.dropFirst(head.count)
        var revision: Substring?
        if rest.first == "@" {
            let said = rest.dropFirst().prefix { $0 != ":" }
            guard Self.isRevision(said) else {
                throw refuse(
                    "the revision behind @ has 1 to \(Self.revisionBytes) of the characters a-z, A-Z, 0-9, _, -, . and "
                        + "/, without '..'")
            }
            revision = said
            rest = rest.dropFirst(1 + said.count)
        }
        var quantization: Substring?
        if rest.first == ":" {
            quantization = rest.dropFirst()
            guard Self.isPart(rest.dropFirst(), limit: Self.quantizationBytes) else {
                throw refuse(
                    "the quantisation behind : has 1 to \(Self.quantizationBytes) of the characters a-z, A-Z, 0-9, _, "
                        + "- and ., the first one a letter, a digit or _")
            }
        }
        (organization, repository) = (String(parts[0]), String(parts[1]))
        self.revision = revision.map(String.init)
        self.quantization = quantization.map(String.init)
    }

    /// What the address of a repository says, as files have it: `https://hub.example/org/repo`, with or without
    /// `/tree/REVISION`; nil for anything else.
    package init?(address: String) {
        guard address.utf8.count <= 1024 else { return nil }
        var path = Substring(address)
        if let scheme = ["https://", "http://"].first(where: address.hasPrefix) {
            // The host is not part of the name.
            path = path.dropFirst(scheme.count).drop { $0 != "/" }.dropFirst()
        }
        let parts = path.prefix { $0 != "?" && $0 != "#" }.split(separator: "/").map(String.init)
        guard parts.count >= 2 else { return nil }
        var text = "\(parts[0])/\(parts[1])"
        if parts.count >= 4, ["tree", "blob", "resolve", "commit"].contains(parts[2]) { text += "@\(parts[3])" }
        guard parts.count != 3, let source = try? ModelSource(text) else { return nil }
        self = source
    }

    /// What the path of a file in a hub's cache says, `…/models--org--repo/snapshots/REVISION/…`; nil for any other.
    package init?(cachePath: String) {
        let parts = cachePath.split(separator: "/")
        guard let place = parts.lastIndex(where: { $0.hasPrefix("models--") }), place + 3 < parts.count,
            parts[place + 1] == "snapshots"
        else { return nil }
        let names = parts[place].dropFirst("models--".count)
        guard let dashes = Self.firstPair(in: names) else { return nil }
        let organization = names[..<dashes]
        let repository = names[names.index(dashes, offsetBy: 2)...]
        guard let source = try? ModelSource("\(organization)/\(repository)@\(parts[place + 2])") else { return nil }
        self = source
    }

    /// The first two dashes in a row.
    private static func firstPair(in text: Substring) -> Substring.Index? {
        text.indices.first { text[$0...].hasPrefix("--") }
    }

    /// `org/repo`.
    package var name: String { "\(organization)/\(repository)" }

    /// The form it is read from.
    package var description: String {
        name + (revision.map { "@\($0)" } ?? "") + (quantization.map { ":\($0)" } ?? "")
    }

    private static func isPart(_ part: Substring, limit: Int) -> Bool {
        guard (1...limit).contains(part.utf8.count), let first = part.utf8.first, isWord(first) else { return false }
        return !part.contains("..")
            && part.utf8.allSatisfy { isWord($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }
    }

    private static func isRevision(_ text: Substring) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        return text.utf8.count <= revisionBytes && parts.allSatisfy { isPart($0, limit: revisionBytes) }
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
