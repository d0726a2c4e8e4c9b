import ArgumentParser
import Node
import Runner

/// Whether and how much of kept prefixes goes to disk.
struct PrefixDiskOptions: ParsableArguments {
    @Option(
        help: """
            Keep prefixes on disk, too, with at most this many bytes on this machine, as in 4GB; the files hold what \
            users wrote and were answered. 0 keeps none.
            """)
    var prefixDisk = ByteSize(bytes: 0)

    func validate() throws {
        let limits = ArchiveLimits.smallest...ArchiveLimits.largest
        guard prefixDisk.bytes == 0 || limits.contains(prefixDisk.bytes) else {
            throw ValidationError("--prefix-disk is \(prefixDisk.bytes) bytes; it takes 0, or 1MiB … 1PiB.")
        }
    }

    /// The settings of this machine's runners; nil when prefixes stay in memory.
    var settings: ArchiveSettings? {
        guard prefixDisk.bytes > 0 else { return nil }
        return ArchiveSettings(folder: NodeCaches.prefixFolder(of: Folders.cache), byteLimit: prefixDisk.bytes)
    }
}

/// A number of bytes as people write it: `500MB`, `4GB`, `2GiB`, `1048576`.
struct ByteSize: Hashable, ExpressibleByArgument {
    let bytes: UInt64

    init(bytes: UInt64) { self.bytes = bytes }

    init?(argument: String) {
        let units: [(String, UInt64)] = [
            ("KIB", 1 << 10), ("MIB", 1 << 20), ("GIB", 1 << 30), ("TIB", 1 << 40), ("PIB", 1 << 50),
            ("KB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("B", 1), ("", 1),
        ]
        let text = argument.uppercased()
        guard let unit = units.first(where: { text.hasSuffix($0.0) }),
            let number = UInt64(text.dropLast(unit.0.count)), !text.hasPrefix("+")
        else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: unit.1)
        guard !overflow else { return nil }
        bytes = product
    }

    var defaultValueDescription: String { "\(bytes)" }
}
