import CLlama
package import Serving
package import Vocabulary

/// The state of a sequence as bytes: on the last stage the tokens its sampler has seen (u32 count, then i32 each,
/// little-endian; elsewhere the count is 0), behind them the library's own notation of its cells.
extension LlamaStageEngine {
    /// The state of a lane's sequence; see `StageEngine.save`.
    ///
    /// **Throws:** as the protocol says.
    package mutating func save(_ lane: Lane) throws(EngineError) -> [UInt8] {
        let slot = try slot(lane)
        let history = samplers[slot]?.history ?? []
        let size = unsafe llama_state_seq_get_size_ext(context.handle, Int32(slot), 0)
        let head = 4 + 4 * history.count
        guard unsafe llama_memory_seq_pos_max(context.memory, Int32(slot)) >= 0, size > 0 else {
            throw .failed(operation: "saving lane \(slot)", code: 0, reason: "the lane is empty")
        }
        guard size <= Limits.sequenceBytes - head else {
            throw .failed(
                operation: "saving lane \(slot)", code: 0,
                reason: "its state has \(size) bytes, limit \(Limits.sequenceBytes)")
        }
        var written = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: head + size) { buffer, count in
            unsafe buffer.storeBytes(history)
            let target = unsafe buffer.baseAddress.map { unsafe $0 + head }
            unsafe written = llama_state_seq_get_data_ext(context.handle, target, size, Int32(slot), 0)
            count = head + written
        }
        guard written > 0 else {
            throw .failed(
                operation: "saving lane \(slot)", code: 0, reason: LlamaLibrary.reason(or: "no reason was logged"))
        }
        return bytes
    }

    /// Puts a saved state into an empty lane; see `StageEngine.restore`.
    ///
    /// **Throws:** as the protocol says.
    package mutating func restore(_ lane: Lane, from bytes: [UInt8]) throws(EngineError) {
        let slot = try slot(lane)
        let count = bytes.count < 4 ? -1 : Int(Self.word(bytes, at: 0))
        let head = 4 + 4 * count
        guard count >= 0, head < bytes.count else {
            throw .failed(operation: "restoring lane \(slot)", code: 0, reason: "\(bytes.count) bytes are no state")
        }
        let history = (0..<count).map { Token(bitPattern: Self.word(bytes, at: 4 + 4 * $0)) }
        LlamaLibrary.clearLog()
        let size = bytes.count - head
        func take() -> Int {
            unsafe bytes.withUnsafeBufferPointer { buffer in
                let state = unsafe buffer.baseAddress.map { unsafe $0 + head }
                return unsafe llama_state_seq_set_data_ext(context.handle, state, size, Int32(slot), 0)
            }
        }
        var taken = take()
        // What is kept for prompts may have had the cells.
        if taken != size, unsafe reserved?.giveAllBack(context.memory) == true { taken = take() }
        guard taken == size else {
            throw .failed(
                operation: "restoring lane \(slot)", code: taken,
                reason: LlamaLibrary.reason(or: "no reason was logged"))
        }
        keeper?.restored(slot, length: unsafe llama_memory_seq_pos_max(context.memory, Int32(slot)) + 1)
        guard shape.isLast else { return }
        let sampler = try LaneSampler(.keeping(length: Int32(clamping: count)), model: model.model)
        sampler.adopt(history[...])
        samplers[slot] = sampler
    }

    private static func word(_ bytes: [UInt8], at offset: Int) -> UInt32 {
        (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }
}

extension UnsafeMutableBufferPointer<UInt8> {
    /// Writes the number of tokens and the tokens to the beginning; there MUST be room.
    fileprivate func storeBytes(_ tokens: [Token]) {
        var offset = 0
        for word in [UInt32(tokens.count)] + tokens.map({ UInt32(bitPattern: $0) }) {
            for shift: UInt32 in [0, 8, 16, 24] {
                unsafe self[offset] = UInt8(truncatingIfNeeded: word >> shift)
                offset += 1
            }
        }
    }
}
