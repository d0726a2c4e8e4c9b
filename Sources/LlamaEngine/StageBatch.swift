import CLlama
import Serving
import Vocabulary

/// Owner of the arrays behind a `llama_batch`, filled in place for every step.
@safe struct StageBatch: ~Copyable {
    private let rowLimit: Int
    private let positionsPerRow: Int
    private let tokenIDs: UnsafeMutablePointer<llama_token>
    private let positions: UnsafeMutablePointer<llama_pos>
    private let sequenceCounts: UnsafeMutablePointer<Int32>
    private let sequences: UnsafeMutablePointer<llama_seq_id>
    private let sequenceLists: UnsafeMutablePointer<UnsafeMutablePointer<llama_seq_id>?>
    private let outputs: UnsafeMutablePointer<Int8>
    private let filled: UnsafeMutablePointer<Int32>

    /// Makes room for `rowLimit` rows; an embedding row carries `positionsPerRow` positions (4 with M-RoPE).
    init(rowLimit: Int, positionsPerRow: Int) {
        self.rowLimit = rowLimit
        self.positionsPerRow = positionsPerRow
        unsafe tokenIDs = .allocate(capacity: rowLimit)
        unsafe positions = .allocate(capacity: rowLimit * positionsPerRow)
        unsafe sequenceCounts = .allocate(capacity: rowLimit)
        unsafe sequences = .allocate(capacity: rowLimit)
        unsafe sequenceLists = .allocate(capacity: rowLimit)
        unsafe outputs = .allocate(capacity: rowLimit)
        unsafe filled = .allocate(capacity: 1)
        for row in 0..<rowLimit {
            unsafe sequenceCounts[row] = 1
            unsafe sequenceLists[row] = unsafe sequences + row
        }
        unsafe filled.pointee = 0
    }

    deinit {
        unsafe tokenIDs.deallocate()
        unsafe positions.deallocate()
        unsafe sequenceCounts.deallocate()
        unsafe sequences.deallocate()
        unsafe sequenceLists.deallocate()
        unsafe outputs.deallocate()
        unsafe filled.deallocate()
    }

    /// Takes `rows[range]`. `flagsAll` marks every row as an output row, which a stage that is not the last needs;
    /// `hidesTokens` gives every row the id 0, for stages whose rows are injected; `sequence` is that of all rows, in
    /// place of their lanes.
    func fill(
        _ rows: [StageRow], _ range: Range<Int>, flagsAll: Bool, hidesTokens: Bool, sequence: llama_seq_id? = nil
    ) {
        precondition(range.count <= rowLimit, "\(range.count) rows in a batch of \(rowLimit)")
        for (slot, index) in range.enumerated() {
            let row = rows[index]
            unsafe tokenIDs[slot] = hidesTokens ? 0 : row.token
            unsafe sequences[slot] = sequence ?? llama_seq_id(row.lane.index)
            unsafe outputs[slot] = flagsAll || row.samples ? 1 : 0
            // Embedding rows of M-RoPE models carry (t, h, w, e) as four arrays; for text the first three are the
            // position and the last is 0, which is how llama.cpp expands a text token's single position.
            for part in 0..<positionsPerRow {
                unsafe positions[part * range.count + slot] = part < 3 ? row.position : 0
            }
        }
        unsafe filled.pointee = Int32(range.count)
    }

    /// The rows as tokens, for the first stage.
    var tokens: llama_batch { unsafe batch(tokens: tokenIDs, embeddings: nil) }

    /// The rows as embeddings, for later stages. **Shape:** `[rows, width]`; read, never written, by the library.
    func embeddings(_ floats: UnsafePointer<Float>) -> llama_batch {
        unsafe batch(tokens: nil, embeddings: UnsafeMutablePointer(mutating: floats))
    }

    /// The rows as tokens, each with what a head for several tokens reads beside it. **Shape:** `[rows, width]`; read,
    /// never written, by the library.
    func tokens(beside floats: UnsafePointer<Float>) -> llama_batch {
        unsafe batch(tokens: tokenIDs, embeddings: UnsafeMutablePointer(mutating: floats))
    }

    private func batch(
        tokens: UnsafeMutablePointer<llama_token>?, embeddings: UnsafeMutablePointer<Float>?
    ) -> llama_batch {
        unsafe llama_batch(
            n_tokens: filled.pointee, token: tokens, embd: embeddings, pos: positions, n_seq_id: sequenceCounts,
            seq_id: sequenceLists, logits: outputs)
    }
}
