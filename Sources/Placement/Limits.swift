/// Bounds of planning; what is beyond them is refused before anything is allocated.
package enum PlacementLimits {
    /// Layers of a model.
    package static let layerCountMax = 512
    /// Devices that take part in a search; of more, those with the most memory are taken.
    package static let seatCountMax = 256
    /// Machines of an inventory.
    package static let nodeCountMax = 4096
    /// Devices of one machine.
    package static let devicesPerNodeMax = 64
    /// Memory of one device, 1 PiB. **Units:** bytes.
    package static let memoryMax: UInt64 = 1 << 50
    /// Tokens of context.
    package static let contextMax = 1 << 24
    /// Context a model gets unasked. **Units:** tokens.
    package static let contextUnaskedMax = 131_072
    /// Rows per step.
    package static let rowsMax = 1 << 16
    /// Sequences at once.
    package static let lanesMax = 256
    /// Replicas of one deployment.
    package static let replicaCountMax = 64
    /// Pins of one request.
    package static let pinCountMax = 512
    /// Credits for freed memory kept per node.
    package static let creditCountMax = 64
}
