package import Vocabulary

/// How much of a machine's memory stays its own.
package enum MachineReserve {
    /// What planning leaves a machine: a sixteenth of its memory, at least 256 MiB and at most 4 GiB.
    package static func byteCount(total: ByteCount) -> ByteCount {
        ByteCount(min(max(total.bytes / 16, 256 << 20), 4 << 30))
    }
}
