import Dialects
import FoundationEssentials
import Vocabulary

/// What `skein deploy` asks for, as the API reads it.
struct DeployWish: Hashable, Sendable {
    var model: String
    var name: String?
    var replicas: Int?
    var context: Int?
    var lanes: Int?
    var stages: Int?
    /// Ids.
    var pinned: [String] = []
    var excluded: [String] = []
    var tags: [String] = []
    var preferredTags: [String] = []
    var keepAliveSeconds: Int64?
    /// `auto`, `off`, `ngram`, `mtp` or a draft model.
    var draft: String?
    /// `auto`, `off` or a projector.
    var projector: String?
    /// What keys are stored in.
    var cacheTypeK: CacheFormat?
    /// What values are stored in.
    var cacheTypeV: CacheFormat?
    var aliases: [String] = []
    /// As in `org/repo@revision:quantisation`.
    var sources: [String] = []

    /// What `--mmproj` says as the API reads it: `auto` and `off` mean themselves, a file here its absolute path.
    static func projector(_ text: String) -> String {
        ["auto", "off"].contains(text) ? text : ModelName(text).model
    }

    /// What `--draft` says as the API reads it: words mean themselves, a file here its absolute path.
    static func draft(_ text: String) -> String {
        DraftOptions.words.contains(text) ? text : ModelName(text).model
    }

    /// The body of the request; what was not said is left to the cluster.
    var body: [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        let texts = [
            ("model", model), ("name", name), ("draft", draft), ("projector", projector),
            ("cache_type_k", cacheTypeK?.rawValue), ("cache_type_v", cacheTypeV?.rawValue),
        ]
        for (key, value) in texts {
            guard let value else { continue }
            writer.key(key)
            writer.string(value)
        }
        let numbers = [
            ("replicas", replicas.map(Int64.init)), ("context_tokens", context.map(Int64.init)),
            ("lanes", lanes.map(Int64.init)), ("stages", stages.map(Int64.init)),
            ("keep_alive_seconds", keepAliveSeconds),
        ]
        for (key, value) in numbers {
            guard let value else { continue }
            writer.key(key)
            writer.integer(value)
        }
        let lists = [
            ("pinned", pinned), ("excluded", excluded), ("required_tags", tags), ("preferred_tags", preferredTags),
            ("aliases", aliases), ("sources", sources),
        ]
        for (key, values) in lists where !values.isEmpty {
            writer.key(key)
            writer.beginArray()
            for value in values { writer.string(value) }
            writer.endArray()
        }
        writer.endObject()
        return writer.bytes
    }
}

/// What people write for a model: a name the cluster knows, or a file here.
struct ModelName: Hashable, Sendable {
    /// As the cluster shall read it.
    let model: String
    /// What clients call it unless told otherwise; nil leaves it to the cluster.
    let name: String?

    /// A file here is meant by its absolute path: other nodes start elsewhere.
    init(_ text: String, folder: String, isFile: (String) -> Bool) {
        let path = Self.absolute(text, folder: folder)
        let isPath = isFile(path)
        model = isPath ? path : text
        guard isPath || text.hasPrefix("/") else {
            name = nil
            return
        }
        let file = path.split(separator: "/").last.map(String.init) ?? text
        let stem = file.lowercased().hasSuffix(".gguf") ? String(file.dropLast(5)) : file
        name = stem.isEmpty ? nil : stem
    }

    /// The same with this machine's files.
    init(_ text: String) {
        self.init(text, folder: FileManager.default.currentDirectoryPath) { path in
            var isFolder = false
            return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && !isFolder
        }
    }

    /// A `..` stays: behind a link it leads elsewhere than the text suggests.
    private static func absolute(_ text: String, folder: String) -> String {
        let path = text.hasPrefix("/") ? text : folder + "/" + text
        return "/" + path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }
}
