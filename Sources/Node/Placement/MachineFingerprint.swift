import Crypto
import FoundationEssentials
package import LlamaEngine
import Placement
import Vocabulary

/// What the speed of a machine's device depends on: when any of it changes, the device is measured anew.
///
/// None of it tells who or where the machine is.
package struct MachineFingerprint: Hashable, Sendable {
    /// The processor's name.
    package var processor: String
    /// Cores this process may use.
    package var cores: Int
    /// Memory in all. **Units:** whole gibibytes, as the system's own share moves by a little from start to start.
    package var memory: UInt64
    /// The engine library's build.
    package var engine: String
    /// Every device the engine finds, with its memory in whole gibibytes.
    package var devices: [String]
    /// The device that is measured; nil is the processor.
    package var device: String?
    /// Threads of the processor.
    package var threads: Int

    /// Version of what is measured and of how it is written down.
    private static let format = 1

    /// The fingerprint of this machine for stages on `device` with `threads`.
    package static func thisMachine(
        devices: [EngineDevice], device: String?, threads: Int
    ) -> MachineFingerprint {
        func gibibytes(_ bytes: UInt64?) -> UInt64 { ((bytes ?? 0) + (1 << 29)) >> 30 }
        return MachineFingerprint(
            processor: MachineInventory.processorName ?? "",
            cores: ProcessInfo.processInfo.activeProcessorCount,
            memory: gibibytes(MachineInventory.thisMachine().nodes.first?.devices.first?.totalMemory?.bytes),
            engine: LlamaLibrary.build,
            devices: devices.map { "\($0.compute) \($0.about) \(gibibytes($0.totalBytes))" }.sorted(),
            device: device, threads: threads)
    }

    /// All of it as one number of 64 hexadecimal digits.
    package var digest: String {
        let parts = [
            "\(Self.format)", processor, "\(cores)", "\(memory)", engine, "\(devices.count)", "\(device ?? "")",
            "\(threads)",
        ]
        return Hexadecimal.text(SHA256.hash(data: Data((parts + devices).joined(separator: "\n").utf8)))
    }
}
