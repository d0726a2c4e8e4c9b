import CLlama
import CLlamaExtras

/// Computes attention in place of the library, which goes through the mask of every cell in use for each row and head,
/// and waits for memory at every cell that counts.
///
/// Which cells each row sees is read from the mask once for all layers. The node is another operation while the graph
/// runs, and what it was afterwards, because the library uses graphs again.
/// docs/decisions/0028-attention-over-the-cells-that-rows-see.md has the figures.
///
/// **Isolation:** the compute thread.
@safe final class RowAttention {
    /// Leaving all to the library; for comparison.
    var isOff = false
    /// Whether the last batch with attention left none of it to the library. So will the next one: what is left does
    /// not change with the rows.
    private(set) var leftNothing = false
    private var rowCount = 0
    private var taken: [AttentionNode] = []
    private var leftCount = 0
    /// What the rows see, by the mask's address; nil for a mask that says more than that.
    private var views: [UInt: View?] = [:]
    /// Made so far, for this batch and the next.
    private var made: [View] = []

    /// Cells that rows see.
    @safe private final class View {
        let handle: OpaquePointer

        init?() {
            guard let handle = unsafe extras_attention_new() else { return nil }
            unsafe self.handle = handle
        }

        deinit { unsafe extras_attention_free(handle) }
    }

    /// A batch of so many rows is going to run.
    func begin(rows: Int) { rowCount = rows }

    /// Gives all nodes back to the library.
    func end() {
        for one in taken { unsafe extras_attention_give_back(one.node) }
        if taken.count + leftCount > 0 { leftNothing = leftCount == 0 }
        taken.removeAll(keepingCapacity: true)
        views.removeAll(keepingCapacity: true)
        leftCount = 0
        rowCount = 0
    }

    /// A node is going to be computed; answers whether that happens here.
    func take(_ node: UnsafeMutablePointer<ggml_tensor>) -> Bool {
        guard !isOff, unsafe node.pointee.op == GGML_OP_FLASH_ATTN_EXT else { return false }
        guard let one = unsafe AttentionNode(node, rows: rowCount), unsafe extras_attention_fits(node),
            let view = view(of: one)
        else {
            leftCount += 1
            return false
        }
        unsafe extras_attention_take(view.handle, node)
        taken.append(one)
        return true
    }

    private func view(of node: AttentionNode) -> View? {
        let address = unsafe UInt(bitPattern: node.mask)
        if let known = views[address] { return known }
        if made.count == views.count, let more = View() { made.append(more) }
        guard views.count < made.count else { return nil }
        let view = made[views.count]
        let isPlain = unsafe extras_attention_see(view.handle, node.mask)
        views.updateValue(isPlain ? view : nil, forKey: address)
        return isPlain ? view : nil
    }
}
