package import Vocabulary

/// Where the parts of a checked step body lie. The body stays where it was received; rows and activations are read out
/// of it on demand.
///
/// **Units/encoding:** u16 row count, u8 activation encoding, u8 slice in milliseconds; per row u16 lane, u16 flags
/// (bit 0: samples), i32 position, i32 token; then the activations. The step id is the header's stream.
/// **Source:** docs/protocols/stage-frames.md.
package struct StepLayout: Hashable, Sendable {
    /// Bytes before the rows.
    static let prefixByteCount = 4
    /// Bytes of a row record.
    static let rowByteCount = 12
    /// Row flag: the last stage samples a token from this row.
    static let samplesFlag: UInt16 = 1

    /// Number of the step within its placement epoch; it wraps around.
    package let step: UInt32
    /// Number of rows, at least 1.
    package let rowCount: Int
    /// How the activations are encoded.
    package let encoding: ActivationEncoding
    /// Floats per row.
    package let width: Int
    /// How long deferred steps may be run before others have their turn, from now on; nil leaves it as it was.
    /// **Units:** whole milliseconds, at most 255.
    package let slice: Duration?

    /// Offset of the activations in the body; a multiple of 4.
    package var activationOffset: Int { Self.prefixByteCount + rowCount * Self.rowByteCount }

    /// Size of the body. **Units:** bytes.
    package var bodyByteCount: Int { activationOffset + rowCount * encoding.rowByteCount(width: width) }

    /// Most rows of `width` floats, in f32, that one frame of a link carries; 0 when not even one fits.
    package static func rowLimit(width: Int, frameByteLimit: Int = Limits.frameBytes) -> Int {
        precondition((1...Limits.width).contains(width), "width \(width) is outside 1...\(Limits.width)")
        let budget = frameByteLimit - FrameHeader.byteCount - prefixByteCount
        return min(max(0, budget) / (rowByteCount + ActivationEncoding.f32.rowByteCount(width: width)), Limits.rows)
    }

    /// Checks a step body completely, so that reading it afterwards cannot fail.
    ///
    /// **Throws:** `truncated`, `limitExceeded`, `lengthMismatch`, `invalidValue`.
    package static func parse(_ body: RawSpan, step: UInt32, width: Int) throws(WireError) -> StepLayout {
        precondition((1...Limits.width).contains(width), "width \(width) is outside 1...\(Limits.width)")
        var reader = ByteReader(body)
        let rowCount = try reader.shortCount(body, "step.rows", limit: Limits.rows)
        let rawEncoding = try reader.u8(body, "step.encoding")
        let milliseconds = try reader.u8(body, "step.slice")
        guard rowCount > 0 else {
            throw .invalidValue(field: "step.rows", offset: 0, value: 0, allowed: "1 … \(Limits.rows)")
        }
        guard let encoding = ActivationEncoding(rawValue: rawEncoding) else {
            throw .invalidValue(field: "step.encoding", offset: 2, value: Int(rawEncoding), allowed: "0 … 4")
        }
        let layout = StepLayout(
            step: step, rowCount: rowCount, encoding: encoding, width: width,
            slice: milliseconds == 0 ? nil : .milliseconds(Int64(milliseconds)))
        guard body.byteCount == layout.bodyByteCount else {
            throw .lengthMismatch(field: "step", value: body.byteCount, expected: layout.bodyByteCount)
        }
        for row in 0..<rowCount {
            let offset = prefixByteCount + row * rowByteCount
            let rowHead = unsafe body.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
            let flags = UInt16(truncatingIfNeeded: UInt64(littleEndian: rowHead) >> 16)
            guard flags & ~samplesFlag == 0 else {
                throw .invalidValue(field: "step.row.flags", offset: offset + 2, value: Int(flags), allowed: "0 or 1")
            }
            let position = Int32(truncatingIfNeeded: UInt64(littleEndian: rowHead) >> 32)
            guard position >= 0 else {
                throw .invalidValue(
                    field: "step.row.position", offset: offset + 4, value: Int(position), allowed: "0 and above")
            }
        }
        if encoding == .q8 {
            try layout.checkScales(of: body)
        }
        return layout
    }

    private func checkScales(of body: RawSpan) throws(WireError) {
        for row in 0..<rowCount {
            let offset = activationOffset + 4 * row
            let bits = unsafe body.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self)
            let scale = Float(bitPattern: UInt32(littleEndian: bits))
            guard scale.isFinite, scale.sign == .plus else {
                throw .invalidValue(
                    field: "step.row.scale", offset: offset, value: Int(scale.bitPattern),
                    allowed: "bits of a finite float, 0 and above")
            }
        }
    }

    /// Replaces `rows` by the frame's rows; allocates only while `rows` grows.
    package func rows(of body: RawSpan, into rows: inout [StageRow]) {
        check(body)
        rows.removeAll(keepingCapacity: true)
        for row in 0..<rowCount {
            let offset = Self.prefixByteCount + row * Self.rowByteCount
            let words = unsafe body.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
            let token = unsafe body.unsafeLoadUnaligned(fromByteOffset: offset + 8, as: Int32.self)
            let laneFlagsPosition = UInt64(littleEndian: words)
            rows.append(
                StageRow(
                    lane: Lane(UInt16(truncatingIfNeeded: laneFlagsPosition)),
                    position: Int32(truncatingIfNeeded: laneFlagsPosition >> 32),
                    token: Token(littleEndian: token),
                    samples: (laneFlagsPosition >> 16) & UInt64(Self.samplesFlag) != 0))
        }
    }

    /// Replaces `floats` by the frame's activations; allocates only while `floats` grows.
    ///
    /// **Shape:** `[rowCount, width]`, row-major; empty for a frame without activations.
    package func activations(of body: RawSpan, into floats: inout [Float]) {
        check(body)
        let count = encoding == .none ? 0 : rowCount * width
        if floats.count > count {
            floats.removeLast(floats.count - count)
        } else if floats.count < count {
            floats += [Float](repeating: 0, count: count - floats.count)
        }
        let encoded = body.extracting(activationOffset..<body.byteCount)
        var target = floats.mutableSpan
        ActivationKernel.decode(encoded, encoding, rowCount: rowCount, into: &target)
    }

    /// Hands the frame's activations to `use`: the received bytes themselves when they are aligned f32, else decoded
    /// into `scratch`.
    ///
    /// **Shape:** `[rowCount, width]`, row-major; empty for a frame without activations.
    /// **Throws:** what `use` throws.
    package func withActivations<Result: ~Copyable, Failure: Error>(
        of body: RawSpan, scratch: inout [Float], _ use: (Span<Float>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        check(body)
        if encoding == .f32 {
            let direct = try unsafe body.extracting(activationOffset..<body.byteCount).withUnsafeBytes {
                bytes throws(Failure) -> Result? in
                guard let start = bytes.baseAddress, UInt(bitPattern: start) % 4 == 0 else { return nil }
                let floats = unsafe UnsafeBufferPointer(
                    start: start.assumingMemoryBound(to: Float.self), count: bytes.count / 4)
                return try unsafe use(floats.span)
            }
            if let direct { return direct }
        }
        activations(of: body, into: &scratch)
        return try use(scratch.span)
    }

    private func check(_ body: RawSpan) {
        precondition(
            body.byteCount == bodyByteCount, "body of \(body.byteCount) bytes, the layout is for \(bodyByteCount)")
    }
}
