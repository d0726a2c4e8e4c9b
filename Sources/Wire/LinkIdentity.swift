package import Vocabulary

/// What a connection is for.
package enum LinkRole: UInt8, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// A stage sends steps and operations to the next one.
    case upstream = 1
    /// The last stage sends results and failures to the entry stage.
    case directReturn = 2
    /// A node talks to a runner.
    case control = 3

    /// The role in words.
    package var description: String {
        switch self {
        case .upstream: "upstream"
        case .directReturn: "direct return"
        case .control: "control"
        }
    }
}

/// What a release can do on a link; a connection uses what both ends have. Unknown bits are passed over.
package struct LinkCapabilities: OptionSet, Hashable, Sendable, CustomStringConvertible {
    /// The bits.
    package let rawValue: UInt64

    /// Takes the bits as they are.
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Decodes f16 activations.
    package static let f16 = LinkCapabilities(rawValue: 1 << 0)
    /// Decodes bf16 activations.
    package static let bf16 = LinkCapabilities(rawValue: 1 << 1)
    /// Decodes q8 activations.
    package static let q8 = LinkCapabilities(rawValue: 1 << 2)
    /// Answers requests for statistics.
    package static let statistics = LinkCapabilities(rawValue: 1 << 3)

    /// Everything this release can do.
    package static let all: LinkCapabilities = [.f16, .bf16, .q8, .statistics]

    /// What a link needs so that `format` can be used on it; f32 needs nothing.
    package static func needed(for format: WireFormat) -> LinkCapabilities {
        switch format {
        case .f32: []
        case .f16: .f16
        case .bf16: .bf16
        case .q8: .q8
        case .auto: [.f16, .bf16]
        }
    }

    /// The bits in hexadecimal.
    package var description: String { "0x" + String(rawValue, radix: 16) }
}

/// SHA-256 of a model file, which both ends of a link must share.
package struct ModelDigest: Hashable, Sendable, CustomStringConvertible {
    /// Size of a digest. **Units:** bytes.
    package static let byteCount = 32

    /// The digest's bytes, always 32.
    package let bytes: [UInt8]

    /// Takes 32 bytes, or returns nil for any other number.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// Reads 64 hexadecimal digits, or returns nil for anything else.
    package init?(hexadecimal text: String) {
        guard let bytes = Hexadecimal.bytes(text), bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// Lower-case hexadecimal.
    package var description: String { Hexadecimal.text(bytes) }
}

/// A stage's place in its placement.
package struct StagePlace: Hashable, Sendable, CustomStringConvertible {
    /// Index of the stage, from 0 (the entry stage).
    package var index: Int
    /// The layers it runs.
    package var layers: LayerRange

    /// Makes a place.
    package init(index: Int, layers: LayerRange) {
        self.index = index
        self.layers = layers
    }

    /// `stage 1 [3,6)`.
    package var description: String { "stage \(index) \(layers)" }
}

extension FrameWriter {
    /// u16 index, u16 reserved, u32 first layer, u32 end layer; no stage is 0xFFFF and zeros.
    mutating func put(_ place: StagePlace?) throws(WireError) {
        guard let place else {
            try put(UInt16.max)
            try put(UInt16(0))
            try put(UInt64(0))
            return
        }
        try put16(place.index, "stage.index", limit: Limits.stages)
        try put(UInt16(0))
        try put32(place.layers.first, "stage.layers.first", limit: Limits.layers)
        try put32(place.layers.end, "stage.layers.end", limit: Limits.layers)
    }
}

extension ByteReader {
    /// A place, or nil for no stage.
    mutating func optionalPlace(_ bytes: RawSpan, _ field: String) throws(WireError) -> StagePlace? {
        let start = offset
        let index = Int(try u16(bytes, field))
        try skip(2, field)
        let first = Int(try u32(bytes, field))
        let end = Int(try u32(bytes, field))
        if index == Int(UInt16.max) { return nil }
        guard index <= Limits.stages else { throw .limitExceeded(field: field, value: index, limit: Limits.stages) }
        guard end <= Limits.layers else { throw .limitExceeded(field: field, value: end, limit: Limits.layers) }
        guard first < end else {
            throw .invalidValue(field: field, offset: start + 4, value: first, allowed: "below the end layer \(end)")
        }
        return StagePlace(index: index, layers: LayerRange(first: first, end: end))
    }

    /// A place.
    mutating func place(_ bytes: RawSpan, _ field: String) throws(WireError) -> StagePlace {
        let start = offset
        guard let place = try optionalPlace(bytes, field) else {
            throw .invalidValue(
                field: field, offset: start, value: Int(UInt16.max), allowed: "0 … \(Limits.stages)")
        }
        return place
    }
}
