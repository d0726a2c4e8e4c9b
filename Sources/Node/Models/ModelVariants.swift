import Crypto
import FoundationEssentials
import Logging
import ModelStore
import Synchronization
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The models that were made on this node, in `variants` of the data folder: names with a base and defaults.
///
/// **Encoding:** a line with the release of the form and the SHA-256 of the rest, then JSON; replaced as a whole. A
/// file that is damaged is set aside.
final class ModelVariants: Sendable {
    /// Most variants.
    static let limit = 256
    /// Most bytes of one variant as it is kept. **Units:** bytes of JSON.
    static let variantBytes = 4 << 20
    /// Longest file that is read. **Units:** bytes.
    private static let fileBytes: UInt64 = 256 << 20
    /// What the first line begins with.
    private static let mark = "skein variants 1 "

    private let path: String
    /// By name.
    private let known: Mutex<[String: ModelVariant]>
    /// One change at a time; those who only look do not wait for the disk.
    private let change = Mutex<Void>(())
    /// Where a damaged file was put; nil when there was none.
    let setAside: String?

    /// Reads what is kept in a data folder; nothing is as good as a damaged file.
    init(dataFolder: String, logger: Logger) {
        let path = "\(dataFolder)/variants"
        self.path = path
        switch Self.read(path) {
        case .success(let variants):
            known = Mutex(Dictionary(variants.map { ($0.name, $0) }) { $1 })
            setAside = nil
        case .failure(let damage):
            let aside = "\(path).damaged-\(time(nil))"
            let isMoved = rename(path, aside) == 0
            logger.warning(
                "the models made here are lost: their file is damaged",
                metadata: ["path": "\(path)", "why": "\(damage.reason)", "set.aside": "\(isMoved ? aside : "no")"])
            known = Mutex([:])
            setAside = isMoved ? aside : nil
        }
    }

    /// All of them, by name.
    var all: [ModelVariant] { known.withLock { $0.values.sorted { $0.name < $1.name } } }

    /// The variant a name means; clients may put `:latest` behind it.
    func find(_ name: String) -> ModelVariant? {
        known.withLock { known in
            guard !known.isEmpty else { return nil }
            if let exact = known[name] { return exact }
            return name.hasSuffix(":latest") ? known[String(name.dropLast(":latest".count))] : nil
        }
    }

    /// Why a variant cannot be kept.
    enum Refusal: Error {
        case tooMany
        case tooLarge(bytes: Int)
        case unwritable(String)
    }

    /// Keeps variants under their names in place of what had them, and forgets others, in one step; blocks for the
    /// disk.
    ///
    /// **Throws:** `Refusal`; nothing has changed then.
    func update(keep: [ModelVariant] = [], forget: Set<String> = []) throws(Refusal) {
        let path = path
        let outcome = change.withLock { _ -> Result<Void, Refusal> in
            var new = known.withLock { $0 }
            for name in forget { new[name] = nil }
            for variant in keep { new[variant.name] = variant }
            do throws(Refusal) {
                guard new.count <= Self.limit || keep.isEmpty else { throw .tooMany }
                for variant in keep { try Self.check(variant) }
                try Self.write(new.values.sorted { $0.name < $1.name }, to: path)
            } catch {
                return .failure(error)
            }
            known.withLock { $0 = new }
            return .success(())
        }
        try outcome.get()
    }

    private static func check(_ variant: ModelVariant) throws(Refusal) {
        let bytes = (try? JSONEncoder().encode(variant).count) ?? .max
        guard bytes <= variantBytes else { throw .tooLarge(bytes: bytes) }
    }

    // MARK: The file

    private struct Damage: Error {
        let reason: String
    }

    private static func read(_ path: String) -> Result<[ModelVariant], Damage> {
        var facts = stat()
        guard stat(path, &facts) == 0 else {
            let reason = String(cString: strerror(errno))
            return errno == ENOENT ? .success([]) : .failure(Damage(reason: reason))
        }
        do {
            let source = try FileByteSource(path: path)
            guard source.byteCount <= fileBytes else {
                return .failure(Damage(reason: "it has \(source.byteCount) of at most \(fileBytes) bytes"))
            }
            let bytes = try source.read(at: 0, count: Int(source.byteCount))
            guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else {
                return .failure(Damage(reason: "it has no first line"))
            }
            let body = bytes[(end + 1)...]
            guard String(decoding: bytes[..<end], as: UTF8.self) == mark + digest(body) else {
                return .failure(Damage(reason: "its content is not what its first line says"))
            }
            return .success(try JSONDecoder().decode([ModelVariant].self, from: Data(body)))
        } catch {
            return .failure(Damage(reason: "\(error)"))
        }
    }

    private static func digest(_ bytes: some Sequence<UInt8>) -> String {
        Hexadecimal.text(SHA256.hash(data: Data(bytes)))
    }

    private static func write(_ variants: [ModelVariant], to path: String) throws(Refusal) {
        do {
            let encoder = JSONEncoder()
            encoder.outputFormatting = .sortedKeys
            let body = Array(try encoder.encode(variants))
            let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            try StoreFiles.makeFolders(folder.joined(separator: "/"))
            try StoreFiles.replace(path, with: Array((mark + digest(body) + "\n").utf8) + body)
        } catch {
            throw .unwritable("\(error)")
        }
    }
}
