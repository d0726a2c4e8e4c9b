/// Cuts a stream of bytes, split anywhere, into checked frames.
///
/// Whole frames are handed on where they lie, without a copy; only an unfinished one is kept, and its memory grows with
/// the bytes that really came, up to the link's budget. A link that broke the protocol once stays broken.
package struct FrameDecoder: Sendable {
    /// A receiver of frames: the verified header, the body, and the rules for what follows, which the receiver of the
    /// last handshake frame sets to `.established`.
    package typealias Receiver = (FrameHeader, RawSpan, inout FrameRules) throws(WireError) -> Void

    /// What is accepted.
    package private(set) var rules: FrameRules

    // The unfinished frame; its count is the capacity.
    private var storage: [UInt8] = []
    private var kept = 0
    private var header: FrameHeader?
    private var failure: WireError?

    /// Makes a decoder.
    package init(rules: FrameRules = .handshake) { self.rules = rules }

    /// Bytes of an unfinished frame that are kept. **Units:** bytes.
    package var keptByteCount: Int { kept }

    /// Size of the buffer for unfinished frames. **Units:** bytes.
    package var capacity: Int { storage.count }

    /// Takes the next bytes and calls `onFrame` for every frame they complete, in order.
    ///
    /// **Throws:** what the first broken frame has wrong, as soon as its header (length, kind, version) or its last
    /// byte (checksum) is there; what `onFrame` throws. Every later call throws the same.
    package mutating func push(_ bytes: RawSpan, _ onFrame: Receiver) throws(WireError) {
        if let failure { throw failure }
        do throws(WireError) {
            var rest = bytes
            if kept > 0 {
                let used = try finishKept(rest, onFrame)
                rest = rest.extracting(used..<rest.byteCount)
            }
            while let header = try FrameHeader.parse(rest, rules: rules) {
                guard rest.byteCount >= header.frameByteCount else {
                    self.header = header
                    break
                }
                let frame = rest.extracting(0..<header.frameByteCount)
                try header.verify(frame: frame)
                try onFrame(header, frame.extracting(FrameHeader.byteCount..<frame.byteCount), &rules)
                rest = rest.extracting(header.frameByteCount..<rest.byteCount)
            }
            keep(rest)
        } catch {
            failure = error
            storage = []
            kept = 0
            throw error
        }
    }

    /// Adds to the unfinished frame and hands it on when it is whole; returns the number of bytes used.
    private mutating func finishKept(_ bytes: RawSpan, _ onFrame: Receiver) throws(WireError) -> Int {
        var used = 0
        if header == nil {
            used = min(FrameHeader.byteCount - kept, bytes.byteCount)
            keep(bytes.extracting(0..<used))
            header = try parseKept()
        }
        guard let header else { return used }
        let more = min(header.frameByteCount - kept, bytes.byteCount - used)
        keep(bytes.extracting(used..<used + more))
        used += more
        if kept == header.frameByteCount {
            rules = try handKept(header, onFrame)
            self.header = nil
            kept = 0
        }
        return used
    }

    private func parseKept() throws(WireError) -> FrameHeader? {
        let bytes = unsafe storage.span.bytes
        return try FrameHeader.parse(bytes.extracting(0..<kept), rules: rules)
    }

    private func handKept(_ header: FrameHeader, _ onFrame: Receiver) throws(WireError) -> FrameRules {
        var next = rules
        let bytes = unsafe storage.span.bytes
        let frame = bytes.extracting(0..<kept)
        try header.verify(frame: frame)
        try onFrame(header, frame.extracting(FrameHeader.byteCount..<frame.byteCount), &next)
        return next
    }

    private mutating func keep(_ bytes: RawSpan) {
        let end = kept + bytes.byteCount
        if end > storage.count {
            // Doubling, but never beyond the frame that is awaited: bytes that were only announced take no memory.
            let size = min(max(2 * storage.count, end, 4096), max(rules.frameByteLimit, end))
            storage += [UInt8](repeating: 0, count: size - storage.count)
        }
        unsafe storage.withUnsafeMutableBytes { target in
            unsafe bytes.withUnsafeBytes { source in
                unsafe UnsafeMutableRawBufferPointer(rebasing: target[kept..<end]).copyMemory(from: source)
            }
        }
        kept = end
    }
}
