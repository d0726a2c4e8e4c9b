import CLlama

/// Keeps attention from walking over cells that no row of a step sees.
///
/// All lanes and kept sequences share one pool, and attention looks at every cell in use for each row and head, to find
/// most of them hidden by the mask. So before an attention node is computed it is given keys, values and a mask that
/// begin and end with the cells that some row sees. What is left out is hidden from all rows, and whole tiles of it, so
/// the bits stay what they are. docs/decisions/0023-attention-sees-a-window-of-cells.md has the figures.
///
/// The graph's own tensors stay as they are: the node gets shortened copies, and its own sources back afterwards.
/// **Isolation:** the compute thread.
@safe final class CellWindow {
    /// Room for a shortened tensor.
    @safe private struct Copy {
        let tensor: UnsafeMutablePointer<ggml_tensor>
    }

    /// Looking at all cells, as the library does; for comparison.
    var isOff = false
    /// Cells that the last batch's attention had none of; of several caches, of the one with most.
    private(set) var hiddenCells = 0
    /// Rows of the batch that runs.
    private var rowCount = 0
    /// Nodes that have copies, and what they had.
    private var narrowed: [AttentionNode] = []
    /// Cells that some row sees, by the mask's address.
    private var windows: [UInt: Range<Int>] = [:]
    /// Tensors for copies, and how many of them are in use.
    private var copies: [Copy] = []
    private var usedCount = 0

    /// The library counts the cells of a graph in multiples of it; tiles of attention divide it.
    /// **Source:** `llama_kv_cache::get_n_kv` of llama.cpp.
    private static let granularity = 256
    /// Four cells that are hidden.
    private static let hidden = UInt64(GraphNode.hiddenCell) * 0x0001_0001_0001_0001

    deinit {
        for copy in copies { unsafe copy.tensor.deallocate() }
    }

    /// A batch of so many rows is going to run.
    func begin(rows: Int) {
        rowCount = rows
        hiddenCells = 0
    }

    /// Gives all nodes their sources back.
    func end() {
        for one in narrowed {
            unsafe one.node.pointee.src.1 = one.keys
            unsafe one.node.pointee.src.2 = one.values
            unsafe one.node.pointee.src.3 = one.mask
        }
        narrowed.removeAll(keepingCapacity: true)
        windows.removeAll(keepingCapacity: true)
        usedCount = 0
        rowCount = 0
    }

    /// A node is going to be computed.
    func meet(_ node: UnsafeMutablePointer<ggml_tensor>) {
        guard !isOff, let one = unsafe AttentionNode(node, rows: rowCount) else { return }
        let width = unsafe Int(one.mask.pointee.ne.0)
        guard width % Self.granularity == 0 else { return }
        let window = unsafe window(of: one.mask)
        hiddenCells = max(hiddenCells, width - window.count)
        guard window.count < width else { return }
        let fewerKeys = unsafe cells(window, of: one.keys)
        let fewerValues = unsafe cells(window, of: one.values)
        let shorterMask = unsafe copy(one.mask)
        unsafe shorterMask.pointee.data += window.lowerBound * MemoryLayout<UInt16>.stride
        unsafe shorterMask.pointee.ne.0 = Int64(window.count)
        narrowed.append(one)
        unsafe node.pointee.src.1 = fewerKeys
        unsafe node.pointee.src.2 = fewerValues
        unsafe node.pointee.src.3 = shorterMask
    }

    /// A copy of keys or values that has these cells only. **Shape:** `[head width, cells, heads]`.
    private func cells(
        _ window: Range<Int>, of tensor: UnsafeMutablePointer<ggml_tensor>
    ) -> UnsafeMutablePointer<ggml_tensor> {
        let fewer = unsafe copy(tensor)
        unsafe fewer.pointee.data += window.lowerBound * Int(tensor.pointee.nb.1)
        unsafe fewer.pointee.ne.1 = Int64(window.count)
        return unsafe fewer
    }

    /// The cells that some row sees, rounded to whole tiles.
    private func window(of mask: UnsafeMutablePointer<ggml_tensor>) -> Range<Int> {
        let address = UInt(bitPattern: mask)
        if let known = windows[address] { return known }
        let cellsPerWord = MemoryLayout<UInt64>.size / MemoryLayout<UInt16>.size
        let words = unsafe Int(mask.pointee.ne.0) / cellsPerWord
        let row = unsafe mask.pointee.data.assumingMemoryBound(to: UInt64.self)
        var (first, end) = (words, 0)
        for index in 0..<rowCount {
            let cells = unsafe row + index * words
            var start = 0
            while start < first, unsafe cells[start] == Self.hidden { start += 1 }
            first = start
            var last = words
            while last > end, unsafe cells[last - 1] == Self.hidden { last -= 1 }
            end = last
        }
        let step = Self.granularity / cellsPerWord
        // A graph in which nobody sees anything stays as it is.
        let window =
            first < end
            ? first / step * step * cellsPerWord..<(end + step - 1) / step * step * cellsPerWord
            : 0..<words * cellsPerWord
        windows[address] = window
        return window
    }

    private func copy(_ tensor: UnsafeMutablePointer<ggml_tensor>) -> UnsafeMutablePointer<ggml_tensor> {
        if usedCount == copies.count { unsafe copies.append(Copy(tensor: .allocate(capacity: 1))) }
        let copy = copies[usedCount]
        usedCount += 1
        unsafe copy.tensor.initialize(to: tensor.pointee)
        return unsafe copy.tensor
    }
}
