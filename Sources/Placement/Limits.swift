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

    // MARK: What a model's header says

    /// Floats of a row, heads, the size of a head, experts of a row.
    package static let lengthMax: UInt64 = 1 << 20
    /// Sizes a recurrent state is the product of, beside those of a row. No product of three of them fills 64 bits.
    package static let stateLengthMax: UInt64 = 1 << 16
    /// Numbers that are compared, or multiplied with lanes: what the engine's 32 bits hold.
    package static let countMax: UInt64 = (1 << 32) - 1
    /// Tokens of the vocabulary.
    package static let vocabularyMax: UInt64 = 1 << 20
    /// One dimension of a tensor.
    package static let dimensionMax: UInt64 = 1 << 32

    // MARK: What was measured

    /// Round trip of a link, nearly three hours. **Units:** milliseconds.
    package static let roundTripMax = 1e7
    /// Rate of a device or a link. **Units:** bytes or operations per second.
    package static let rates = 1e3...1e18
    /// Time of a step over 10^9 bytes of weights, which is the same range. **Units:** milliseconds.
    package static let rowCosts = 1e-6...1e9
}
