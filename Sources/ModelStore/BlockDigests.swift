import Crypto
import Vocabulary

/// SHA-256 of every block of a model file, by which a part of the file is checked without the rest.
///
/// The size of a block follows from the length of the file, so everybody makes the same list of the same file. The
/// list has one digest of its own, the root: who knows the root can check the list, and with it any block.
package struct BlockDigests: Hashable, Sendable {
    /// Most blocks of a file; longer files have larger blocks. The list is half a megabyte at most.
    package static let countLimit: UInt64 = 16_384
    /// Smallest block. **Units:** bytes.
    package static let smallestBlock: UInt64 = 64 << 10
    /// Largest block, which is kept in memory while it is checked. **Units:** bytes.
    package static let largestBlock: UInt64 = 64 << 20
    /// Longest file that can be checked in parts: 1 TiB.
    package static let longestFile = countLimit * largestBlock
    /// What the root is made of in front of the list: a root is the digest of nothing else.
    private static let rootPrefix = "skein blocks 1\n"
    private static let digestByteCount = 32
    private static let lengthByteCount = 8

    /// Length of the file. **Units:** bytes.
    package let fileByteCount: UInt64
    /// Length of every block but the last, which may be shorter. **Units:** bytes.
    package let blockByteCount: UInt64
    private let digests: [UInt8]

    /// Length of a block in a file of this length; nil for files that are too long.
    package static func blockByteCount(ofFile byteCount: UInt64) -> UInt64? {
        guard byteCount <= longestFile else { return nil }
        var block = smallestBlock
        while block * countLimit < byteCount { block *= 2 }
        return block
    }

    /// Length of the list of a file of this length. **Units:** bytes; nil for files that are too long.
    package static func listByteCount(ofFile byteCount: UInt64) -> Int? {
        blockByteCount(ofFile: byteCount).map { block in
            lengthByteCount + Int((byteCount + block - 1) / block) * digestByteCount
        }
    }

    /// The list of a file whose blocks have these digests, one behind the other; nil when they are too many or too few.
    init?(fileByteCount: UInt64, digests: [UInt8]) {
        guard let block = Self.blockByteCount(ofFile: fileByteCount),
            Self.listByteCount(ofFile: fileByteCount) == Self.lengthByteCount + digests.count
        else { return nil }
        self.fileByteCount = fileByteCount
        blockByteCount = block
        self.digests = digests
    }

    /// Reads what `bytes` wrote; nil when it is anything else.
    package init?(bytes: [UInt8]) {
        guard bytes.count >= Self.lengthByteCount else { return nil }
        let length = bytes.prefix(Self.lengthByteCount).reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        self.init(fileByteCount: length, digests: Array(bytes.dropFirst(Self.lengthByteCount)))
    }

    /// The length of the file in eight bytes, little-endian, then 32 bytes for each block.
    package var bytes: [UInt8] {
        (0..<Self.lengthByteCount).map { UInt8(truncatingIfNeeded: fileByteCount >> (8 * UInt64($0))) } + digests
    }

    /// What binds the list: lower-case hexadecimal SHA-256 of `skein blocks 1`, a line feed, and `bytes`.
    package var root: String {
        var hash = SHA256()
        hash.update(data: Array(Self.rootPrefix.utf8))
        hash.update(data: bytes)
        return Hexadecimal.text(hash.finalize())
    }

    /// Number of blocks.
    package var count: Int { digests.count / Self.digestByteCount }

    /// The range made longer at both ends to whole blocks, within the file.
    package func aligned(_ range: Range<UInt64>) -> Range<UInt64> {
        let first = min(range.lowerBound, fileByteCount) / blockByteCount * blockByteCount
        guard !range.isEmpty else { return first..<first }
        let blocks = (min(range.upperBound, fileByteCount) + blockByteCount - 1) / blockByteCount
        return first..<max(first, min(fileByteCount, blocks * blockByteCount))
    }

    /// Whether these are the bytes of the block that begins at `offset`.
    func isRight(_ content: [UInt8], at offset: UInt64) -> Bool {
        let block = offset / blockByteCount
        guard offset % blockByteCount == 0, block < UInt64(count) else { return false }
        let expected = digests[Int(block) * Self.digestByteCount..<(Int(block) + 1) * Self.digestByteCount]
        return SHA256.hash(data: content).elementsEqual(expected)
    }
}

/// The digests of a file's blocks while its bytes come one after the other.
struct BlockHashing {
    private let fileByteCount: UInt64
    private let blockByteCount: UInt64
    private var hash = SHA256()
    private var filled: UInt64 = 0
    private var digests: [UInt8] = []

    /// Nil for files that are too long to be checked in parts.
    init?(fileByteCount: UInt64) {
        guard let block = BlockDigests.blockByteCount(ofFile: fileByteCount) else { return nil }
        self.fileByteCount = fileByteCount
        blockByteCount = block
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Int(min(UInt64(rest.count), blockByteCount - filled))
            hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: rest.prefix(count)))
            rest = rest.dropFirst(count)
            filled += UInt64(count)
            if filled == blockByteCount { end() }
        }
    }

    private mutating func end() {
        digests += hash.finalize()
        hash = SHA256()
        filled = 0
    }

    /// Nil when the file was not as long as it was said to be.
    mutating func finish() -> BlockDigests? {
        if filled > 0 { end() }
        return BlockDigests(fileByteCount: fileByteCount, digests: digests)
    }
}
